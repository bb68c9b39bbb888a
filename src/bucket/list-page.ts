/**
 * Reads pages of sorted lists (registry/sorted-list.ts): at most two reads, and work that grows with the page, not with
 * the list.
 */
import { compareNames } from '../registry/name.ts';
import {
  decodeListHeader,
  decodeSpan,
  FIRST_READ,
  leavesOfPage,
  type Leaf,
  type ListHeader,
  spanOf,
} from '../registry/sorted-list.ts';
import { type ReadStore, StorageError } from '../registry/store.ts';
import { readAll } from './read-object.ts';
import { CorruptRecordError } from '../registry/unreadable-record.ts';

/** A part of a list: `n` entries (null: all) after `last`, which need not be in the list (null: from the beginning). */
export interface ListPage {
  readonly n: number | null;
  readonly last: string | null;
}

/** Most entries of a page that a client gets: it is made in memory. A complete list is streamed. */
export const PAGE_MAX = 10_000;

/** A list object whose first line was read. */
export interface OpenList {
  readonly etag: string;
  readonly header: ListHeader;
  /** Whether the first read contained them. */
  isAtHand(leaves: readonly Leaf[], part: 'names' | 'details'): boolean;
  /**
   * The bytes of names or details of neighbouring leaves, as stored: JSON values with commas between. Costs a read
   * unless the first one contained them.
   */
  bytesOf(leaves: readonly Leaf[], part: 'names' | 'details'): Promise<Uint8Array>;
  /** The same as a stream, with its length. */
  streamOf(leaves: readonly Leaf[], part: 'names' | 'details'): Promise<Uint8Array | ReadableStream<Uint8Array>>;
}

/**
 * Reads the first line of a list; null if there is no list. One read of `firstRead` bytes: {@link FIRST_READ}, or more
 * so that it contains more of the list.
 */
export async function openList(store: ReadStore, key: string, firstRead = FIRST_READ): Promise<OpenList | null> {
  const object = await store.get(key, { range: { offset: 0, length: firstRead }, atOnce: true });
  if (object === null || object === 'changed') return null;
  const { etag, metadata } = object;
  const first = object.bytes ?? (await readAll(object.body, object.range.length));
  const header = decodeListHeader(first, metadata);

  async function streamOf(
    leaves: readonly Leaf[],
    part: 'names' | 'details',
  ): Promise<Uint8Array | ReadableStream<Uint8Array>> {
    const { offset, length } = spanOf(header, leaves, part);
    if (offset + length <= first.length) return first.subarray(offset, offset + length);
    const more = await store.get(key, { range: { offset, length }, ifMatch: etag });
    // Retryable: another attempt reads the new list from its beginning.
    if (more === null || more === 'changed')
      throw new StorageError('STORAGE_UNAVAILABLE', 'the list was replaced while it was read');
    return more.body;
  }

  return {
    etag,
    header,
    isAtHand: (leaves, part) => {
      const { offset, length } = spanOf(header, leaves, part);
      return offset + length <= first.length;
    },
    streamOf,
    bytesOf: async (leaves, part) => {
      const bytes = await streamOf(leaves, part);
      return bytes instanceof Uint8Array ? bytes : readAll(bytes, spanOf(header, leaves, part).length);
    },
  };
}

/** The names of a page, and whether more follow. */
export async function namesOfPage(
  list: OpenList,
  { n, last }: ListPage,
): Promise<{ readonly names: readonly string[]; readonly more: boolean }> {
  const limit = n ?? list.header.count;
  const leaves = leavesOfPage(list.header, last, limit);
  if (leaves === null) return { names: [], more: false };
  const names = decodeSpan(await list.bytesOf(leaves, 'names')).filter(
    (name): name is string => typeof name === 'string',
  );
  const after = last === null ? names : names.filter((name) => compareNames(name, last) > 0);
  return { names: after.slice(0, limit), more: after.length > limit };
}

/** An entry of a list, and how many the list has. */
export interface FoundEntry {
  readonly detail: unknown;
  readonly count: number;
}

/**
 * Reads the entry with that name, in three reads at most: one of a short list. Null if there is none; a list that is
 * missing, damaged or written at this moment counts as not having it.
 */
export async function readListEntry(store: ReadStore, key: string, name: string): Promise<FoundEntry | null> {
  try {
    const list = await openList(store, key);
    const leaf = list?.header.leaves.findLast(({ first }) => compareNames(first, name) <= 0);
    if (list == null || leaf === undefined) return null;
    const at = decodeSpan(await list.bytesOf([leaf], 'names')).indexOf(name);
    if (at < 0) return null;
    return { detail: decodeSpan(await list.bytesOf([leaf], 'details'))[at], count: list.header.count };
  } catch (error) {
    if (error instanceof CorruptRecordError || (error instanceof StorageError && error.retryable)) return null;
    throw error;
  }
}
