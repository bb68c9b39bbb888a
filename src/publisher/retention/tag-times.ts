/** Reads when the tags of a repository moved, in few requests. */
import { forEachLimit } from '../../bucket/concurrency.ts';
import { readObject } from '../../bucket/read-object.ts';
import { isTombstone, readTag } from '../../bucket/read-tag.ts';
import { listTags, READS_AT_ONCE } from '../../bucket/survey.ts';
import { tagKey, tagListKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeSortedList } from '../../registry/sorted-list.ts';
import type { WriteStore } from '../../registry/store.ts';
import type { DatedTag } from './rule.ts';
import { CorruptRecordError } from '../../registry/unreadable-record.ts';

/** A tag object of the bucket. */
export interface StoredTag extends DatedTag {
  readonly etag: string;
}

/**
 * The tags of a repository with the times at which they moved (`updated` of the tag's record), which publishing the
 * same image again does not change. The tag list has them for tag objects that are as it describes them; others are
 * read. Throws StorageError, and NewerVersionError.
 */
export async function readTagTimes(store: WriteStore, name: RepositoryName): Promise<readonly StoredTag[]> {
  const [listed, tags] = await Promise.all([readListed(store, name), listTags(store, name)]);
  const found: StoredTag[] = [];
  await forEachLimit(tags, READS_AT_ONCE, async ([tag, { etag }]) => {
    const entry = listed.get(tag);
    if (entry?.etag === etag) found.push({ tag, etag, moved: timeOf(entry.updated) });
    else {
      const reading = await readTag(store, tagKey(name, tag));
      if (reading?.kind === 'newer') throw reading.error;
      // What the Worker emptied is no tag any more.
      if (reading === null || (reading.kind === 'read' && isTombstone(reading.info))) return;
      if (reading.kind === 'read') found.push({ tag, etag: reading.info.etag, moved: timeOf(reading.record.updated) });
      else found.push({ tag, etag, moved: null });
    }
  });
  return found;
}

function timeOf(updated: unknown): number | null {
  const time = typeof updated === 'string' ? Date.parse(updated) : NaN;
  return Number.isNaN(time) ? null : time;
}

async function readListed(
  store: WriteStore,
  name: RepositoryName,
): Promise<ReadonlyMap<string, { readonly etag?: unknown; readonly updated?: unknown }>> {
  const object = await readObject(store, tagListKey(name));
  if (object === null) return new Map();
  try {
    return new Map(decodeSortedList(object.bytes).map(({ name: tag, detail }) => [tag, detail ?? {}]));
  } catch (error) {
    // Writing the list reports this fault; here the tag objects are read instead.
    if (error instanceof CorruptRecordError) return new Map();
    throw error;
  }
}

/** Tags that are named by the digest of an image that only deleted tags need: its signatures and attestations. */
export async function companionsOfDeleted(
  store: WriteStore,
  name: RepositoryName,
  tags: readonly Tag[],
  deleted: readonly Tag[],
): Promise<readonly Tag[]> {
  const companions = tags.flatMap((tag) => {
    const [, algorithm = '', hex = ''] = /^(sha256|sha512)-([0-9a-f]+)(?:\.\w+)?$/.exec(tag) ?? [];
    return hex === '' ? [] : [{ tag, subject: `${algorithm}:${hex}` }];
  });
  if (companions.length === 0 || deleted.length === 0) return [];
  const going: ReadonlySet<string> = new Set(deleted);
  const gone = new Set<string>();
  const needed = new Set<string>();
  await forEachLimit(tags, READS_AT_ONCE, async (tag) => {
    const reading = await readTag(store, tagKey(name, tag));
    if (reading?.kind !== 'read') return;
    for (const { digest } of reading.record.forms) (going.has(tag) ? gone : needed).add(digest);
  });
  return companions.filter(({ subject }) => gone.has(subject) && !needed.has(subject)).map(({ tag }) => tag);
}
