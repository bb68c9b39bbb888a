/** Reads members of JSON from images. Values of another type count as absent, because nothing is served from here. */
import { type Digest, parseDigest } from '../../../registry/digest.ts';
import type { Platform } from '../../../registry/platform.ts';

/** A parsed JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** Parses a JSON object; null if the bytes are not one. */
export function parseObject(bytes: Uint8Array): Json | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

/** The value as an object; empty if it is none. */
export function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

/** The value as an array; empty if it is none. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** The value as text; null if it is none, or empty. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** The text members of an object. */
export function pairsOf(value: unknown): readonly (readonly [string, string])[] {
  return Object.entries(objectOf(value)).flatMap(([name, text]) =>
    typeof text === 'string' ? [[name, text] as const] : [],
  );
}

/** The digest in a text; null if it is none. */
export function digestOf(value: unknown): Digest | null {
  return parseDigest(textOf(value) ?? '');
}

/** The value as a size in bytes; null if it is none. */
export function sizeOf(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 ? value : null;
}

/** The members of a platform; null if it is none. */
export function platformOf(value: unknown): Platform | null {
  const { os, architecture, variant } = objectOf(value);
  const osText = textOf(os);
  const architectureText = textOf(architecture);
  if (osText === null || architectureText === null) return null;
  const variantText = textOf(variant);
  return { os: osText, architecture: architectureText, ...(variantText !== null && { variant: variantText }) };
}
