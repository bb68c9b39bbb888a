/** Strict readers of settings. An invalid value has no default; each error says what to write. */
import { isObject, type JsonObject } from '../registry/values/json.ts';

/** A variable or secret that cannot be used. The message says what to do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** A value, or what its JSON text says; undefined if it is empty. Throws {@link ConfigError}. */
export function jsonOf(value: unknown, where: string): unknown {
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    // Without its cause, which quotes the text: that may be a secret.
    throw new ConfigError(`${where} is not JSON.`);
  }
}

/** The members of a JSON object; with `allowed`, other members are an error. Throws {@link ConfigError}. */
export function fields(value: unknown, where: string, allowed?: readonly string[]): JsonObject {
  if (!isObject(value)) throw new ConfigError(`${where} must be an object.`);
  const extra = allowed === undefined ? undefined : Object.keys(value).find((name) => !allowed.includes(name));
  if (extra !== undefined)
    throw new ConfigError(`${where} has the unknown member "${extra}". Allowed: ${(allowed ?? []).join(', ')}.`);
  return value;
}

/** Non-empty text, or undefined without a value. Throws {@link ConfigError}. */
export function optionalText(value: unknown, where: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw new ConfigError(`${where} must be text.`);
  return value;
}

/** Non-empty text. Throws {@link ConfigError}. */
export function text(value: unknown, where: string): string {
  const found = optionalText(value, where);
  if (found === undefined) throw new ConfigError(`${where} is missing.`);
  return found;
}

/** A list of texts; a single text is a list of one. Throws {@link ConfigError}. */
export function textList(value: unknown, where: string): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list)) throw new ConfigError(`${where} must be text or an array of texts.`);
  return list.map((item: unknown, index) => text(item, `${where}[${String(index)}]`));
}

/** One of some texts; the first without a value. Throws {@link ConfigError}. */
export function oneOf<T extends string>(value: unknown, where: string, known: readonly [T, ...T[]]): T {
  const found = known.find((one) => one === (value ?? known[0]));
  if (found !== undefined) return found;
  const quoted = known.map((one) => `"${one}"`);
  throw new ConfigError(`${where} must be ${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1) ?? ''}.`);
}

/** The default, minimum and maximum of a number, and its unit; `whole`: without fractions. */
export interface NumberLimits {
  readonly otherwise: number;
  readonly least: number;
  readonly most: number;
  readonly unit: string;
  readonly whole?: true;
}

/** A number; the default without a value. Throws {@link ConfigError}. */
export function numberOf(value: unknown, where: string, { otherwise, least, most, unit, whole }: NumberLimits): number {
  const found = value ?? otherwise;
  const isNumber = whole === true ? Number.isInteger(found) : Number.isFinite(found);
  if (typeof found === 'number' && isNumber && found >= least && found <= most) return found;
  const kind = whole === true ? 'whole number' : 'number';
  throw new ConfigError(`${where} must be a ${kind} of ${unit} between ${String(least)} and ${String(most)}.`);
}

/** An http or https address without query and fragment; null if the value is none. */
export function webAddressOf(value: unknown): URL | null {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '' ? url : null;
}

/** An address that is https, or leads to this machine: others can be changed on the way. Null if the value is none. */
export function safeAddressOf(value: unknown): URL | null {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url)) ? url : null;
}

/** Whether a URL leads to this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
