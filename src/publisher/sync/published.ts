/** Reads what was published under a repository's tags, in few requests. */
import { readObject } from '../../bucket/read-object.ts';
import { listTags } from '../../bucket/survey.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { tagKey, tagListKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeTagMetadata, publishedDigests, type TagRecord } from '../../registry/records.ts';
import { decodeSortedList } from '../../registry/sorted-list.ts';
import type { WriteStore } from '../../registry/store.ts';
import type { TagEntry } from '../../registry/summary.ts';
import { readTag } from '../../bucket/read-tag.ts';
import { CorruptRecordError } from '../../registry/unreadable-record.ts';

/** Gives the digests of what was published under a tag; null if it does not exist or cannot be read. */
export type PublishedLookup = (tag: Tag) => Promise<ReadonlySet<Digest> | null>;

/** Reads each requested tag object: one HEAD for each tag. */
export function lookAtTags(store: WriteStore, name: RepositoryName): PublishedLookup {
  return async (tag) => {
    const key = tagKey(name, tag);
    const info = await store.head(key);
    if (info === null) return null;
    let record: TagRecord | undefined;
    try {
      const index = decodeTagMetadata(info.metadata);
      if (index.kind === 'record') record = index.record;
      else {
        const reading = await readTag(store, key);
        if (reading?.kind === 'read') record = reading.record;
      }
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error;
    }
    return record === undefined ? null : new Set(publishedDigests(record));
  };
}

/**
 * Reads the tag list of the repository and lists its tag objects: two requests for a thousand tags. An entry is used if
 * it was made of the stored tag object; otherwise the tag object is read.
 *
 * The etag is a hash of the object's manifests. If the same manifests were published in one version and derived in
 * another, and a publisher died between tag and list, the entry describes the former. Clients receive the same either
 * way, and `gantry verify` finds it.
 */
export async function readTagEntries(store: WriteStore, name: RepositoryName): Promise<PublishedLookup> {
  const [entries, tags] = await Promise.all([entriesOf(store, name), listTags(store, name)]);
  const lookAt = lookAtTags(store, name);
  return (tag) => {
    const etag = tags.get(tag)?.etag;
    if (etag === undefined) return Promise.resolve(null);
    const entry = entries.get(tag);
    return entry?.etag === etag ? Promise.resolve(new Set(entry.digests)) : lookAt(tag);
  };
}

async function entriesOf(
  store: WriteStore,
  name: RepositoryName,
): Promise<ReadonlyMap<string, Pick<TagEntry, 'etag' | 'digests'>>> {
  const object = await readObject(store, tagListKey(name));
  if (object === null) return new Map();
  try {
    return new Map(
      decodeSortedList(object.bytes).flatMap((entry) => {
        const made = madeOf(entry.detail);
        return made === null ? [] : [[entry.name, made] as const];
      }),
    );
  } catch (error) {
    // Writing the list reports this fault; here the tag objects are read instead.
    if (error instanceof CorruptRecordError) return new Map();
    throw error;
  }
}

/** The version of the tag object that an entry was made of; null if it does not contain one. */
function madeOf(detail: unknown): Pick<TagEntry, 'etag' | 'digests'> | null {
  const { etag, digests } = (detail ?? {}) as Record<string, unknown>;
  if (typeof etag !== 'string' || !Array.isArray(digests)) return null;
  const parsed = digests.map((digest) => (typeof digest === 'string' ? parseDigest(digest) : null));
  return parsed.some((digest) => digest === null)
    ? null
    : { etag, digests: parsed.filter((digest) => digest !== null) };
}
