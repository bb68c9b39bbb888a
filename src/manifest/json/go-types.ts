/**
 * Typed JSON as Go's `encoding/json` (1.19) reads and writes it: what Docker's own structs accept, keep and drop.
 * Names match without regard to case, repeated members are applied in document order, `null` changes nothing but lists,
 * maps and pointers, and unknown members are skipped.
 */
import type { ByteWriter } from './byte-writer.ts';
import { writeGoMap } from './go-object.ts';
import { readGoTime, ZERO_TIME } from './go-time.ts';
import { checkJson, decodeString, elementsOf, type JsonKind, kindOf, membersOf, type Span } from './json-bytes.ts';

/** A value of another type than Go's struct has. */
export class GoTypeError extends Error {
  override readonly name = 'GoTypeError';
}

/** A Go type: how its values are read from checked JSON and written again. */
export interface GoType<T> {
  readonly zero: T;
  /** Decodes a value on top of one that was there before. Throws {@link GoTypeError}. */
  decode(bytes: Uint8Array, value: Span, before: T): T;
  /** Whether `omitempty` leaves the value out. */
  isEmpty(value: T): boolean;
  write(writer: ByteWriter, value: T): void;
}

/** `json.Unmarshal` of a whole document. Throws {@link GoTypeError}, and `JsonSyntaxError`. */
export function decodeGo<T>(type: GoType<T>, bytes: Uint8Array): T {
  return type.decode(bytes, checkJson(bytes), type.zero);
}

/** Go compares names without regard to ASCII case, and takes U+017F for s and U+212A for k. */
export function foldName(name: string): string {
  if (/^[a-z_]*$/.test(name)) return name;
  return name
    .replace(/\u017f/g, 's')
    .replace(/\u212a/g, 'k')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** `string`. */
export const goString: GoType<string> = {
  zero: '',
  decode: (bytes, value, before) => (expect(bytes, value, 'string') ? decodeString(bytes, value) : before),
  isEmpty: (value) => value === '',
  write: (writer, value) => writer.string(value),
};

/** `bool`. */
export const goBoolean: GoType<boolean> = {
  zero: false,
  decode: (bytes, value, before) => {
    const kind = kindOf(bytes, value);
    return expect(bytes, value, 'true', 'false') ? kind === 'true' : before;
  },
  isEmpty: (value) => !value,
  write: (writer, value) => writer.text(String(value)),
};

const INT64_MAX = 2n ** 63n - 1n;

/** `int64`, and `int` on a machine of 64 bits. */
export const goInteger: GoType<bigint> = {
  zero: 0n,
  decode: (bytes, value, before) => {
    if (!expect(bytes, value, 'number')) return before;
    const text = new TextDecoder().decode(bytes.subarray(value.start, value.end));
    // Digits beyond these cannot be in range, and would cost time.
    const number = /^-?\d{1,19}$/.test(text) ? BigInt(text) : null;
    if (number === null || number > INT64_MAX || number < -INT64_MAX - 1n)
      throw new GoTypeError('a number is not a whole number of 64 bits');
    return number;
  },
  isEmpty: (value) => value === 0n,
  write: (writer, value) => writer.text(String(value)),
};

/** `time.Time`, as the text that Go writes. Never empty for `omitempty`. */
export const goTime: GoType<string> = {
  zero: ZERO_TIME,
  decode: (bytes, value, before) => {
    if (!expect(bytes, value, 'string')) return before;
    // The raw token: Go does not resolve escapes in a time.
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(value.start + 1, value.end - 1));
    const time = readGoTime(text);
    if (time === null) throw new GoTypeError(`a time is not RFC 3339: ${JSON.stringify(text.slice(0, 80))}`);
    return time.text;
  },
  isEmpty: () => false,
  write: (writer, value) => writer.string(value),
};

/** A slice. `room` may hold elements beyond its length: Go decodes a repeated list on top of them. */
export interface GoSlice<T> {
  readonly room: readonly T[];
  readonly capacity: number;
  readonly length: number;
}

/** The elements of a slice; none of nil. */
export function itemsOf<T>(slice: GoSlice<T> | null): readonly T[] {
  return slice === null ? [] : slice.room.slice(0, slice.length);
}

/** A slice of some elements. */
export function sliceOf<T>(items: readonly T[]): GoSlice<T> {
  return { room: items, capacity: items.length, length: items.length };
}

/** `[]T`; null for nil. */
export function goSlice<T>(element: GoType<T>): GoType<GoSlice<T> | null> {
  return {
    zero: null,
    decode: (bytes, value, before) => {
      if (!expect(bytes, value, 'array')) return null;
      let { room, capacity, length } = { capacity: 0, length: 0, ...before, room: [...(before?.room ?? [])] };
      const elements = elementsOf(bytes, value);
      elements.forEach((item, index) => {
        if (index >= capacity) {
          capacity = Math.max(4, capacity + (capacity >> 1));
          room = room.slice(0, length);
        }
        length = Math.max(length, index + 1);
        room[index] = element.decode(bytes, item, room[index] ?? element.zero);
      });
      return elements.length === 0 ? { room: [], capacity: 0, length: 0 } : { room, capacity, length: elements.length };
    },
    isEmpty: (value) => value === null || value.length === 0,
    write: (writer, value) => {
      if (value === null) writer.text('null');
      else writeList(writer, itemsOf(value), element);
    },
  };
}

/** Docker's `strslice.StrSlice`: a list of strings, or one string, which stands for a list of it. */
export const goWords: GoType<readonly string[] | null> = {
  zero: null,
  decode: (bytes, value) => {
    if (kindOf(bytes, value) === 'string') return [decodeString(bytes, value)];
    if (!expect(bytes, value, 'array')) return null;
    return elementsOf(bytes, value).map((word) => goString.decode(bytes, word, ''));
  },
  isEmpty: (value) => value === null || value.length === 0,
  write: (writer, value) => {
    if (value === null) writer.text('null');
    else writeList(writer, value, goString);
  },
};

/** `map[string]T`; null for nil. Written with sorted keys. */
export function goMap<T>(element: GoType<T>): GoType<ReadonlyMap<string, T> | null> {
  return {
    zero: null,
    decode: (bytes, value, before) => {
      if (!expect(bytes, value, 'object')) return null;
      const members = membersOf(bytes, value).map(
        (member) => [member.key, element.decode(bytes, member.value, element.zero)] as const,
      );
      return new Map([...(before ?? []), ...members]);
    },
    isEmpty: (value) => value === null || value.size === 0,
    write: (writer, value) => {
      if (value === null) writer.text('null');
      else
        writeGoMap(writer, value, (item) => {
          element.write(writer, item);
        });
    },
  };
}

/** `*T`; null for nil. */
export function goPointer<T>(target: GoType<T>): GoType<T | null> {
  return {
    zero: null,
    decode: (bytes, value, before) =>
      kindOf(bytes, value) === 'null' ? null : target.decode(bytes, value, before ?? target.zero),
    isEmpty: (value) => value === null,
    write: (writer, value) => {
      if (value === null) writer.text('null');
      else target.write(writer, value);
    },
  };
}

/** A field of a struct. */
export interface GoField<T> {
  readonly type: GoType<T>;
  /** Left out where it is empty. */
  readonly omitEmpty: boolean;
}

/** A field that is always written. */
export function field<T>(type: GoType<T>): GoField<T> {
  return { type, omitEmpty: false };
}

/** A field with `omitempty`. */
export function omitEmpty<T>(type: GoType<T>): GoField<T> {
  return { type, omitEmpty: true };
}

/** Fields by the names that they have in JSON, in the order in which Go writes them. */
export type GoFields = Readonly<Record<string, GoField<unknown>>>;

/** The values of a struct with such fields. */
export type GoValues<F> = { readonly [K in keyof F]: F[K] extends GoField<infer T> ? T : never };

/** A struct. Never empty for `omitempty`. */
export function goStruct<F extends GoFields>(fields: F): GoType<GoValues<F>> {
  const rows = Object.entries(fields).map(([name, row]) => ({ name, ...row }));
  const byName = new Map(rows.map((row) => [row.name, row]));
  const byFoldedName = new Map(rows.map((row) => [foldName(row.name), row]));
  const zero: Readonly<Record<string, unknown>> = Object.fromEntries(rows.map(({ name, type }) => [name, type.zero]));
  return {
    zero: zero as GoValues<F>,
    decode: (bytes, value, before) => {
      if (!expect(bytes, value, 'object')) return before;
      const values: Record<string, unknown> = { ...before };
      for (const { key, value: member } of membersOf(bytes, value)) {
        const row = byName.get(key) ?? byFoldedName.get(foldName(key));
        if (row !== undefined)
          values[row.name] = decodeField(row.name, () => row.type.decode(bytes, member, values[row.name]));
      }
      return values as GoValues<F>;
    },
    isEmpty: () => false,
    write: (writer, value) => {
      const values: Readonly<Record<string, unknown>> = value;
      const written = rows.filter(({ name, type, omitEmpty }) => !omitEmpty || !type.isEmpty(values[name]));
      writer.text('{');
      written.forEach(({ name, type }, index) => {
        if (index > 0) writer.text(',');
        type.write(writer.string(name).text(':'), values[name]);
      });
      writer.text('}');
    },
  };
}

/** Says where in a struct a value is that cannot be read. */
function decodeField(name: string, decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    if (error instanceof GoTypeError) throw new GoTypeError(`${name}: ${error.message}`, { cause: error });
    throw error;
  }
}

function writeList<T>(writer: ByteWriter, items: readonly T[], element: GoType<T>): void {
  writer.text('[');
  items.forEach((item, index) => {
    if (index > 0) writer.text(',');
    element.write(writer, item);
  });
  writer.text(']');
}

/** Whether a value is of one of these kinds; not for `null`, and anything else is an error. */
function expect(bytes: Uint8Array, value: Span, ...kinds: readonly JsonKind[]): boolean {
  const kind = kindOf(bytes, value);
  if (kind !== 'null' && !kinds.includes(kind))
    throw new GoTypeError(`${kinds[0] === 'true' ? 'a boolean' : kinds.join(' or ')} expected, not ${kind}`);
  return kind !== 'null';
}
