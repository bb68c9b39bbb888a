/** Keeps a repository's tag list and the catalogue true to the tags that were fetched. Others write them too, so every write is over the version that was read. */
import { CATALOG_KEY, tagListKey } from '../../registry/keys.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeSortedList, encodeSortedList, type ListEntry } from '../../registry/sorted-list.ts';
import { type ReadStore, StorageError } from '../../registry/store.ts';
import type { TagSummary } from '../../registry/summary.ts';
import { readAll } from '../../bucket/read-object.ts';
import type { BucketWriter } from './bucket-writer.ts';

/** What lists are read from and written to. */
export interface ListPlace {
  readonly store: ReadStore;
  readonly writer: BucketWriter;
}

/** How often a list is read anew that others write at the same time. */
const TRIES = 8;

/** Puts a tag into its repository's list, and the repository into the catalogue. Throws {@link StorageError} and CorruptListError. */
export async function listTag(place: ListPlace, name: RepositoryName, tag: Tag, summary: TagSummary): Promise<void> {
  await update(place, tagListKey(name), (entries) => [
    ...entries.filter((entry) => entry.name !== tag),
    { name: tag, detail: summary },
  ]);
  await update(place, CATALOG_KEY, (entries) =>
    entries.some((entry) => entry.name === name) ? null : [...entries, { name, detail: null }],
  );
}

/** Takes a tag out of its repository's list, unless somebody has published it meanwhile: `isThere` looks. The repository stays known. */
export async function unlistTag(
  place: ListPlace,
  name: RepositoryName,
  tag: Tag,
  isThere: () => Promise<boolean>,
): Promise<void> {
  await update(place, tagListKey(name), async (entries) => {
    const others = entries.filter((entry) => entry.name !== tag);
    return others.length === entries.length || (await isThere()) ? null : others;
  });
}

type Entries = readonly ListEntry<unknown>[];

/** Writes what `change` makes of the list, unless that is null. */
async function update(
  { store, writer }: ListPlace,
  key: string,
  change: (entries: Entries) => Entries | null | Promise<Entries | null>,
): Promise<void> {
  for (let tried = 0; tried < TRIES; tried++) {
    const object = await store.get(key);
    if (object === 'changed') continue;
    const entries = await change(object === null ? [] : decodeSortedList(await readAll(object.body, object.size)));
    if (entries === null) return;
    const { body, metadata } = encodeSortedList(entries);
    if (
      (await writer.put(key, body, { contentType: MEDIA_TYPES.json, metadata, over: object ?? 'absent' })) === 'written'
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 50 * 2 ** tried));
  }
  throw new StorageError('STORAGE_UNAVAILABLE', `the list ${key} is being written by others all the time`);
}
