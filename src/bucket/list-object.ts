/** Reads a list object whole, and writes it over the version that was read. */
import { MEDIA_TYPES } from '../registry/media-type.ts';
import { decodeSortedList, encodeSortedList, type ListEntry } from '../registry/sorted-list.ts';
import { type ReadStore, StorageError, type WriteStore } from '../registry/store.ts';
import { CorruptRecordError } from '../registry/unreadable-record.ts';
import { readObject } from './read-object.ts';
import { type ReplacedObject, replaceCondition, type Written } from './write-tag.ts';

/** The entries of a list, none if there is no list, and the version that was read. Throws {@link StorageError}. */
export async function readEntries(
  store: ReadStore,
  key: string,
): Promise<{ readonly entries: readonly ListEntry<unknown>[]; readonly over: ReplacedObject }> {
  const object = await readObject(store, key);
  if (object === null) return { entries: [], over: null };
  try {
    return { entries: decodeSortedList(object.bytes), over: object.info };
  } catch (cause) {
    if (!(cause instanceof CorruptRecordError)) throw cause;
    throw new StorageError('STORAGE_CORRUPT', `the list ${key} cannot be read: ${cause.message}`, { cause });
  }
}

/** Writes a list, unless it is the same as `before`. Throws {@link StorageError}. */
export async function writeEntries(
  store: WriteStore,
  key: string,
  entries: readonly ListEntry<unknown>[],
  over: ReplacedObject,
  before?: readonly ListEntry<unknown>[],
): Promise<undefined | 'precondition-failed'> {
  if (before !== undefined && over !== null && isSameList(before, entries)) return undefined;
  return (await writeList(store, key, entries, over)) === 'precondition-failed' ? 'precondition-failed' : undefined;
}

/** Whether two lists have the same bytes. */
export function isSameList(a: readonly ListEntry<unknown>[], b: readonly ListEntry<unknown>[]): boolean {
  const [one, other] = [encodeSortedList(a).body, encodeSortedList(b).body];
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Writes a list object over the version that was read. Throws {@link StorageError}. */
export function writeList(
  store: WriteStore,
  key: string,
  entries: readonly ListEntry<unknown>[],
  over: ReplacedObject,
): Promise<Written> {
  const { body, metadata } = encodeSortedList(entries);
  return store.put(key, body, { contentType: MEDIA_TYPES.json, metadata, onlyIf: replaceCondition(over) });
}
