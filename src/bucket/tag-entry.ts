/** The entry of a stored tag in the tag list, made from what the bucket holds. */
import { summarizeTag } from '../manifest/tag-summary.ts';
import { blobKey, manifestKey, tagKey } from '../registry/keys.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import type { RealmName } from '../registry/realms.ts';
import { publishedDigests } from '../registry/records.ts';
import type { ReadStore } from '../registry/store.ts';
import type { TagEntry } from '../registry/summary.ts';
import { readObject } from './read-object.ts';
import { isTombstone, readTag, type ReadTag } from './read-tag.ts';

/** Where a repository's objects are. */
export interface EntryPlace {
  readonly store: ReadStore;
  readonly name: RepositoryName;
  readonly realm: RealmName;
}

/**
 * Reads a tag and makes its entry; null if the tag is not stored, is a tombstone, or cannot be read. Throws
 * StorageError.
 */
export async function readTagEntry(place: EntryPlace, tag: Tag): Promise<TagEntry | null> {
  const reading = await readTag(place.store, tagKey(place.name, tag));
  return reading?.kind !== 'read' || isTombstone(reading.info) ? null : tagEntryOf(place, reading);
}

/** Makes the entry of a tag that was read. Throws StorageError. */
export async function tagEntryOf({ store, name, realm }: EntryPlace, tag: ReadTag): Promise<TagEntry> {
  const bytesOf = async (key: string): Promise<Uint8Array | null> => (await readObject(store, key))?.bytes ?? null;
  const summary = await summarizeTag(tag, {
    manifest: (digest) => bytesOf(manifestKey(name, digest)),
    blob: (digest) => bytesOf(blobKey(realm, digest)),
    blobSize: async (digest) => (await store.head(blobKey(realm, digest)))?.size ?? null,
  });
  return { ...summary, etag: tag.info.etag, digests: publishedDigests(tag.record) };
}
