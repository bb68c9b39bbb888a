/** Reads members of JSON from images. Values of another type count as absent, because nothing is served from here. */
import { type Digest, parseDigest } from '../../../registry/digest.ts';
import { objectOf, textOf } from '../../../registry/values/json.ts';

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
