/**
 * A sorted list in one object that can be read by pages: the tags of a repository, or the catalogue.
 *
 * The object is readable JSON, divided into leaves of {@link LEAF_SIZE} entries. The first line has their byte ranges:
 *
 * ```
 * {"version":1,"count":N,"leaves":[[first, namesOffset, namesLength, detailsOffset, detailsLength]…],
 * "names":["a","b",
 * "c"],
 * "details":[{…},{…},
 * {…}]}
 * ```
 * Offsets count from the end of the first line, whose length is in the custom metadata {@link HEADER_METADATA}. A
 * reader fetches the first {@link FIRST_READ} bytes, which are all of a short list. It then finds the leaves of its
 * page and fetches only those, of the same version (etag). So a page costs at most two reads, and the work depends on
 * the size of the page, not of the list. Without `n`, the response is the bytes of `names`.
 */
import { compareNames } from './name.ts';
import { CorruptRecordError, refuseNewer } from './unreadable-record.ts';

/** Entries of a leaf. Long lists have larger leaves, so that the first line fits into {@link FIRST_READ}. */
export const LEAF_SIZE = 256;

/** Bytes of a reader's first read. The first line is never longer. */
export const FIRST_READ = 65_536;

/** Name of the custom metadata with the length of the first line, in bytes, LF included. */
export const HEADER_METADATA = 'gantry-list-header';

const VERSION = 1;

/** An entry: its name, and a detail for pages (any JSON; null for none). */
export interface ListEntry<T> {
  readonly name: string;
  readonly detail: T;
}

/** A leaf: the positions of its names and details, in bytes from the end of the first line. */
export interface Leaf {
  readonly first: string;
  readonly names: { readonly offset: number; readonly length: number };
  readonly details: { readonly offset: number; readonly length: number };
}

/** The parsed first line. */
export interface ListHeader {
  readonly count: number;
  /** Length of the first line in bytes: offsets count from there. */
  readonly base: number;
  readonly leaves: readonly Leaf[];
}

/** Encodes a list object. Entries may be in any order; names must be unique. */
export function encodeSortedList<T>(entries: readonly ListEntry<T>[]): {
  body: Uint8Array;
  metadata: Record<string, string>;
} {
  const sorted = [...entries].sort((a, b) => compareNames(a.name, b.name));
  const encoder = new TextEncoder();
  for (let size = LEAF_SIZE; ; size *= 2) {
    const groups: (readonly ListEntry<T>[])[] = [];
    for (let at = 0; at < sorted.length; at += size) groups.push(sorted.slice(at, at + size));
    const names = groups.map((group) => encoder.encode(group.map(({ name }) => JSON.stringify(name)).join(',')));
    const details = groups.map((group) => encoder.encode(group.map(({ detail }) => JSON.stringify(detail)).join(',')));
    const namesHead = '"names":[';
    const detailsHead = '],\n"details":[';
    const separator = ',\n';
    let offset = namesHead.length;
    const nameSpans = names.map((bytes, index) => span(bytes, index));
    offset += detailsHead.length;
    const detailSpans = details.map((bytes, index) => span(bytes, index));
    const leaves = groups.map((group, index) => [
      group[0]?.name,
      ...(nameSpans[index] ?? []),
      ...(detailSpans[index] ?? []),
    ]);
    const header = encoder.encode(
      `${JSON.stringify({ version: VERSION, count: sorted.length, leaves }).slice(0, -1)},\n`,
    );
    if (header.length > FIRST_READ && size < sorted.length) continue;
    const parts: Uint8Array[] = [
      header,
      encoder.encode(namesHead),
      ...join(names),
      encoder.encode(detailsHead),
      ...join(details),
      encoder.encode(']}\n'),
    ];
    const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      body.set(part, at);
      at += part.length;
    }
    return { body, metadata: { [HEADER_METADATA]: String(header.length) } };

    function span(bytes: Uint8Array, index: number): readonly [number, number] {
      if (index > 0) offset += separator.length;
      const start = offset;
      offset += bytes.length;
      return [start, bytes.length];
    }
    function join(chunks: readonly Uint8Array[]): Uint8Array[] {
      return chunks.flatMap((chunk, index) => (index === 0 ? [chunk] : [encoder.encode(separator), chunk]));
    }
  }
}

/** Reads a whole list object. Throws {@link CorruptRecordError}. */
export function decodeSortedList(body: Uint8Array): ListEntry<unknown>[] {
  const value = parse(new TextDecoder().decode(body)) as {
    version?: unknown;
    names?: unknown;
    details?: unknown;
  } | null;
  refuseNewer('the list', value?.version, VERSION);
  if (
    value?.version !== VERSION ||
    !Array.isArray(value.names) ||
    !Array.isArray(value.details) ||
    value.names.length !== value.details.length
  ) {
    throw new CorruptRecordError(
      'the list is not of a version that this program reads, or its names and details differ in number',
    );
  }
  const details = value.details as unknown[];
  return value.names.map((name: unknown, index) => {
    if (typeof name !== 'string') throw new CorruptRecordError('a name of the list is not a string');
    return { name, detail: details[index] };
  });
}

/**
 * Reads the first line from the object's first {@link FIRST_READ} bytes and metadata. Throws {@link CorruptRecordError}.
 */
export function decodeListHeader(first: Uint8Array, metadata: Readonly<Record<string, string>>): ListHeader {
  const base = Number(metadata[HEADER_METADATA]);
  if (!Number.isSafeInteger(base) || base <= 0 || base > first.length)
    throw new CorruptRecordError('the length of the first line is missing or wrong');
  const line = new TextDecoder().decode(first.subarray(0, base)).trimEnd();
  const value = parse(`${line.slice(0, -1)}}`) as { version?: unknown; count?: unknown; leaves?: unknown } | null;
  refuseNewer('the list', value?.version, VERSION);
  if (value?.version !== VERSION || typeof value.count !== 'number' || !Array.isArray(value.leaves)) {
    throw new CorruptRecordError('the first line is not of a version that this program reads');
  }
  return { count: value.count, base, leaves: value.leaves.map(toLeaf) };
}

/** A byte range of the object. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

/**
 * The leaves with the `limit` names after `after` and one more, which shows whether there is a next page; null if none.
 */
export function leavesOfPage(header: ListHeader, after: string | null, limit: number): readonly Leaf[] | null {
  const { leaves } = header;
  let low = 0;
  let high = leaves.length;
  // The last leaf whose first name is not after `after`.
  while (low < high) {
    const middle = (low + high) >> 1;
    if (after !== null && compareNames(leaves[middle]?.first ?? '', after) <= 0) low = middle + 1;
    else high = middle;
  }
  const from = Math.max(0, low - 1);
  const perLeaf = leaves.length > 1 ? Math.max(1, Math.floor(header.count / leaves.length)) : header.count;
  // All leaves but the last are full. One more leaf, because names before `after` may fill the first one.
  const page = leaves.slice(from, from + Math.ceil((limit + 1) / perLeaf) + 1);
  return page.length === 0 ? null : page;
}

/** The byte range of the names (or details) of neighbouring leaves. */
export function spanOf(header: ListHeader, leaves: readonly Leaf[], part: 'names' | 'details'): Span {
  const first = leaves[0];
  const last = leaves.at(-1);
  if (first === undefined || last === undefined) return { offset: header.base, length: 0 };
  const offset = header.base + first[part].offset;
  return { offset, length: header.base + last[part].offset + last[part].length - offset };
}

/** Reads the bytes of a {@link spanOf}: the names or details, in order. Throws {@link CorruptRecordError}. */
export function decodeSpan(bytes: Uint8Array): unknown[] {
  const value = parse(`[${new TextDecoder().decode(bytes)}]`);
  if (!Array.isArray(value)) throw new CorruptRecordError('a leaf is not a list');
  return value as unknown[];
}

function toLeaf(row: unknown): Leaf {
  if (!Array.isArray(row)) throw new CorruptRecordError('a leaf is not a row');
  const [first, ...numbers] = row as unknown[];
  const [namesOffset, namesLength, detailsOffset, detailsLength] = numbers;
  if (
    typeof first !== 'string' ||
    typeof namesOffset !== 'number' ||
    typeof namesLength !== 'number' ||
    typeof detailsOffset !== 'number' ||
    typeof detailsLength !== 'number'
  ) {
    throw new CorruptRecordError('a leaf has a bad value');
  }
  return {
    first,
    names: { offset: namesOffset, length: namesLength },
    details: { offset: detailsOffset, length: detailsLength },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CorruptRecordError('the list is not JSON', { cause });
  }
}
