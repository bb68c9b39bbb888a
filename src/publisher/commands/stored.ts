/** Reads the bucket for commands that show it. A missing or damaged object becomes a failure with a hint. */
import { openList } from '../../bucket/list-page.ts';
import type { Digest } from '../../registry/digest.ts';
import { CATALOG_KEY, tagKey, tagListKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeSortedList } from '../../registry/sorted-list.ts';
import type { ReadStore } from '../../registry/store.ts';
import type { TagSummary } from '../../registry/summary.ts';
import type { SourceManifest } from '../../bucket/image-source.ts';
import { readStoredManifest } from '../../bucket/stored-image.ts';
import { CommandError } from '../cli/errors.ts';
import { readObject } from '../../bucket/read-object.ts';
import { readTag, type ReadTag } from '../../bucket/read-tag.ts';
import { CorruptRecordError } from '../../registry/unreadable-record.ts';

/** Reads a tag. Throws {@link CommandError} if it does not exist or cannot be read. */
export async function readStoredTag(store: ReadStore, name: RepositoryName, tag: Tag): Promise<ReadTag> {
  const reading = await readTag(store, tagKey(name, tag));
  if (reading === null) {
    const known = (await store.head(tagListKey(name))) !== null;
    throw new CommandError(known ? `${name} has no tag ${tag}` : `nothing is published under ${name}`, {
      hint: known ? `List its tags with: gantry ls ${name}` : 'List the repositories with: gantry ls',
    });
  }
  if (reading.kind !== 'read') {
    throw new CommandError(`the tag object of ${name}:${tag} cannot be read: ${reading.message}`, {
      hint: 'Publish the tag again.',
    });
  }
  return reading;
}

/** Reads a manifest by digest. Throws {@link CommandError} if it does not exist. */
export async function requireManifest(store: ReadStore, name: RepositoryName, digest: Digest): Promise<SourceManifest> {
  const found = await readStoredManifest(store, name, digest);
  if (found === null)
    throw new CommandError(`${name} has no manifest ${digest}`, { hint: `List its tags with: gantry ls ${name}` });
  return found;
}

/** The names of all repositories, sorted. Throws {@link CommandError} if the catalogue cannot be read. */
export async function readCatalog(store: ReadStore): Promise<readonly string[]> {
  const object = await readObject(store, CATALOG_KEY);
  return object === null ? [] : readable(CATALOG_KEY, () => decodeSortedList(object.bytes).map(({ name }) => name));
}

/** The number of tags of a repository, by one short read. */
export async function countTags(store: ReadStore, name: RepositoryName): Promise<number> {
  try {
    return (await openList(store, tagListKey(name)))?.header.count ?? 0;
  } catch (error) {
    throw unreadableList(tagListKey(name), error);
  }
}

/** A tag in the list of its repository; the summary is null if the list has only the name. */
export interface ListedTag {
  readonly tag: string;
  readonly summary: TagSummary | null;
}

/**
 * The tags of a repository, sorted. Throws {@link CommandError} if nothing is published under the name, or the list
 * cannot be read.
 */
export async function readTagList(store: ReadStore, name: RepositoryName): Promise<readonly ListedTag[]> {
  const object = await readObject(store, tagListKey(name));
  if (object === null)
    throw new CommandError(`nothing is published under ${name}`, { hint: 'List the repositories with: gantry ls' });
  // Gantry writes the list: each detail is a result of `summarizeTag`, or null.
  return readable(tagListKey(name), () =>
    decodeSortedList(object.bytes).map((entry) => ({ tag: entry.name, summary: entry.detail as TagSummary | null })),
  );
}

function readable<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unreadableList(key, error);
  }
}

/** The failure to show for a damaged list; other errors as they are. */
function unreadableList(key: string, error: unknown): unknown {
  if (!(error instanceof CorruptRecordError)) return error;
  return new CommandError(`the list ${key} cannot be read: ${error.message}`, {
    cause: error,
    hint: 'Fix it with: gantry verify --repair',
  });
}
