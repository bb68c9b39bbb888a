/**
 * JSON as bytes: this module checks the grammar and records spans, and decodes a value only on request. `JSON.parse`
 * and `JSON.stringify` would change numbers, the order of keys, escapes and repeated keys, and with them the digest.
 *
 * The grammar is RFC 8259 as Go's `encoding/json` implements it, because docker/distribution uses that: strings may
 * have bytes that are not UTF-8, a byte order mark is an error, and nesting is limited to {@link MAX_DEPTH}.
 */

import { shortText } from './short-text.ts';

/** Deepest nesting of objects and arrays that Go accepts (since 1.15). */
export const MAX_DEPTH = 10_000;

/** The position of a value: its first byte, and the byte after its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A member of an object: its decoded key and the span of its value. */
export interface Member {
  readonly key: string;
  readonly value: Span;
}

/** Bytes that are not JSON. `offset` is the position of the error in bytes. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(`${message} at byte ${String(offset)}`);
    this.offset = offset;
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Checks a whole document and returns the span of its value, without surrounding white space. Takes linear time and
 * does not recurse. Throws {@link JsonSyntaxError}.
 */
export function checkJson(bytes: Uint8Array): Span {
  const start = skipSpace(bytes, 0);
  const end = skipValue(bytes, start);
  const rest = skipSpace(bytes, end);
  if (rest < bytes.length) throw new JsonSyntaxError('unexpected bytes after the value', rest);
  return { start, end };
}

/** The kinds of JSON values. */
export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null';

/** The kind of a checked value. */
export function kindOf(bytes: Uint8Array, { start }: Span): JsonKind {
  switch (bytes[start]) {
    case OPEN_OBJECT:
      return 'object';
    case OPEN_ARRAY:
      return 'array';
    case QUOTE:
      return 'string';
    case 0x74:
      return 'true';
    case 0x66:
      return 'false';
    case 0x6e:
      return 'null';
    default:
      return 'number';
  }
}

/** The members of a checked object, in document order, repeats included. */
export function membersOf(bytes: Uint8Array, object: Span): Member[] {
  const members: Member[] = [];
  let at = skipSpace(bytes, object.start + 1);
  while (bytes[at] !== CLOSE_OBJECT) {
    const keyEnd = skipString(bytes, at);
    const key = decodeString(bytes, { start: at, end: keyEnd });
    const start = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1);
    const end = skipValue(bytes, start);
    members.push({ key, value: { start, end } });
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return members;
}

/** The elements of a checked array. */
export function elementsOf(bytes: Uint8Array, array: Span): Span[] {
  const elements: Span[] = [];
  let at = skipSpace(bytes, array.start + 1);
  while (bytes[at] !== CLOSE_ARRAY) {
    const end = skipValue(bytes, at);
    elements.push({ start: at, end });
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return elements;
}

/**
 * Decodes a checked string. An escaped lone surrogate becomes U+FFFD. Each byte that is not part of valid UTF-8 becomes
 * one U+FFFD, whereas a WHATWG decoder may replace several bytes by one. The result has no lone surrogates.
 */
export function decodeString(bytes: Uint8Array, { start, end }: Span): string {
  const last = end - 1;
  const short = shortText(bytes, start + 1, last);
  if (short !== null) return short;
  let text = '';
  for (let at = start + 1; at < last;) {
    if (bytes[at] !== BACKSLASH) {
      const plain = at;
      while (at < last && bytes[at] !== BACKSLASH) at += 1;
      text += decodeUtf8(bytes.subarray(plain, at));
      continue;
    }
    const escape = bytes[at + 1] ?? 0;
    if (escape !== 0x75) {
      text += SIMPLE_ESCAPES.get(escape) ?? '';
      at += 2;
      continue;
    }
    const unit = hex4(bytes, at + 2);
    at += 6;
    if (unit < 0xd800 || unit > 0xdfff) {
      text += String.fromCharCode(unit);
      continue;
    }
    const low = unit < 0xdc00 && bytes[at] === BACKSLASH && bytes[at + 1] === 0x75 ? hex4(bytes, at + 2) : 0;
    if (low >= 0xdc00 && low <= 0xdfff) {
      text += String.fromCharCode(unit, low);
      at += 6;
    } else text += '\ufffd';
  }
  return text;
}

const SIMPLE_ESCAPES: ReadonlyMap<number, string> = new Map([
  [QUOTE, '"'],
  [BACKSLASH, '\\'],
  [0x2f, '/'],
  [0x62, '\b'],
  [0x66, '\f'],
  [0x6e, '\n'],
  [0x72, '\r'],
  [0x74, '\t'],
]);

function hex4(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let index = at; index < at + 4; index += 1) value = value * 16 + hexValue(bytes[index] ?? 0);
  return value;
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

/** The length of the UTF-8 sequence at `at`; 0 if invalid (overlong, surrogate, above U+10FFFF, truncated). */
export function utf8Length(bytes: Uint8Array, at: number): 0 | 1 | 2 | 3 | 4 {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const second = bytes[at + 1] ?? 0;
  if (first < 0xc2 || first > 0xf4 || (second & 0xc0) !== 0x80) return 0;
  if (first < 0xe0) return 2;
  if (((bytes[at + 2] ?? 0) & 0xc0) !== 0x80) return 0;
  if (first < 0xf0) return (first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f) ? 0 : 3;
  if (((bytes[at + 3] ?? 0) & 0xc0) !== 0x80) return 0;
  return (first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f) ? 0 : 4;
}

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return STRICT.decode(bytes);
  } catch {
    let text = '';
    let good = 0;
    for (let at = 0; at < bytes.length;) {
      const length = utf8Length(bytes, at);
      if (length === 0) {
        text += `${STRICT.decode(bytes.subarray(good, at))}\ufffd`;
        good = at + 1;
      }
      at += length || 1;
    }
    return text + STRICT.decode(bytes.subarray(good));
  }
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

function skipString(bytes: Uint8Array, from: number): number {
  if (bytes[from] !== QUOTE) throw new JsonSyntaxError('expected a string', from);
  for (let at = from + 1; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) return at + 1;
    if (byte < 0x20) throw new JsonSyntaxError('control character in a string', at);
    if (byte !== BACKSLASH) continue;
    at += 1;
    const escape = bytes[at] ?? 0;
    if (escape === 0x75) {
      if (at + 4 >= bytes.length || Number.isNaN(hex4(bytes, at + 1))) throw new JsonSyntaxError('bad \\u escape', at);
      at += 4;
    } else if (!SIMPLE_ESCAPES.has(escape)) throw new JsonSyntaxError('bad escape', at);
  }
  throw new JsonSyntaxError('string without an end', from);
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

function skipNumber(bytes: Uint8Array, from: number): number {
  let at = from;
  if (bytes[at] === 0x2d) at += 1;
  if (!isDigit(bytes[at])) throw new JsonSyntaxError('expected a value', at);
  if (bytes[at] === 0x30) at += 1;
  else while (isDigit(bytes[at])) at += 1;
  if (bytes[at] === 0x2e) {
    at += 1;
    if (!isDigit(bytes[at])) throw new JsonSyntaxError('expected a digit', at);
    while (isDigit(bytes[at])) at += 1;
  }
  if (((bytes[at] ?? 0) | 0x20) === 0x65) {
    at += 1;
    if (bytes[at] === 0x2b || bytes[at] === 0x2d) at += 1;
    if (!isDigit(bytes[at])) throw new JsonSyntaxError('expected a digit', at);
    while (isDigit(bytes[at])) at += 1;
  }
  return at;
}

const LITERALS = ['true', 'false', 'null'].map((word) => new TextEncoder().encode(word));

function skipScalar(bytes: Uint8Array, from: number): number {
  if (bytes[from] === QUOTE) return skipString(bytes, from);
  for (const literal of LITERALS) {
    if (bytes[from] !== literal[0]) continue;
    if (literal.every((byte, index) => bytes[from + index] === byte)) return from + literal.length;
    throw new JsonSyntaxError('expected a value', from);
  }
  return skipNumber(bytes, from);
}

/** Checks one value. Containers are on an explicit stack, so that deep nesting cannot overflow the call stack. */
function skipValue(bytes: Uint8Array, from: number): number {
  if (bytes[from] !== OPEN_OBJECT && bytes[from] !== OPEN_ARRAY) return skipScalar(bytes, from);
  const open: number[] = [];
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (open.length === MAX_DEPTH) throw new JsonSyntaxError('nested too deep', at);
      const close = byte === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY;
      at = skipSpace(bytes, at + 1);
      if (bytes[at] !== close) {
        open.push(close);
        if (close === CLOSE_OBJECT) at = skipKey(bytes, at);
        continue;
      }
      at += 1;
    } else at = skipScalar(bytes, at);
    // After a value: close its containers, or continue after the comma.
    for (;;) {
      const close = open.at(-1);
      if (close === undefined) return at;
      at = skipSpace(bytes, at);
      if (bytes[at] === close) {
        open.pop();
        at += 1;
        continue;
      }
      if (bytes[at] !== COMMA)
        throw new JsonSyntaxError(close === CLOSE_OBJECT ? 'expected , or }' : 'expected , or ]', at);
      at = skipSpace(bytes, at + 1);
      if (close === CLOSE_OBJECT) at = skipKey(bytes, at);
      break;
    }
  }
}

function skipKey(bytes: Uint8Array, from: number): number {
  const at = skipSpace(bytes, skipString(bytes, from));
  if (bytes[at] !== COLON) throw new JsonSyntaxError('expected :', at);
  return skipSpace(bytes, at + 1);
}
