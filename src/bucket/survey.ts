/**
 * Surveys a bucket, whole or one repository: what is stored (listings), and what tag objects and manifests point at.
 * `gc` marks over it, `verify` compares with it.
 */
import type { Digest } from '../registry/digest.ts';
import {
  BLOBS_PREFIX,
  parseKey,
  type ParsedKey,
  REPOSITORIES_PREFIX,
  repositoryPrefix,
  tagsPrefix,
} from '../registry/keys.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import type { ListedObject, ReadStore, WriteStore } from '../registry/store.ts';
import { type ManifestLinks, readLinks } from '../manifest/links.ts';
import { forEachLimit } from './concurrency.ts';
import { readObject } from './read-object.ts';
import { readTag, type ReadTag } from './read-tag.ts';

/** How many reads go on at once. */
export const READS_AT_ONCE = 32;

/** Everything that stands under one repository's name. */
export interface RepositoryListing {
  readonly tags: Map<Tag, ListedObject>;
  readonly manifests: Map<Digest, ListedObject>;
  readonly referrers: Map<Digest, ListedObject>;
  readonly signatures: Map<Digest, ListedObject>;
  tagList: ListedObject | undefined;
}

/** What a bucket holds, by listing alone. */
export interface BucketListing {
  readonly repositories: Map<RepositoryName, RepositoryListing>;
  /** Realm → digest → blob. The realm's name is as found, not checked against any table. */
  readonly blobs: Map<string, Map<Digest, ListedObject>>;
  /** Keys that are none of ours: left alone. */
  readonly strange: string[];
}

/** Lists repositories: all, or the one named. */
export async function listRepositories(
  store: WriteStore,
  only?: RepositoryName,
): Promise<Pick<BucketListing, 'repositories' | 'strange'>> {
  const repositories = new Map<RepositoryName, RepositoryListing>();
  const strange: string[] = [];
  for await (const object of store.list(only === undefined ? REPOSITORIES_PREFIX : repositoryPrefix(only))) {
    const key = parseKey(object.key);
    if (key === null || !('name' in key)) strange.push(object.key);
    else if (only === undefined || key.name === only) file(repositories, key, object);
  }
  return { repositories, strange };
}

/** Lists the tag objects of one repository: the truth about its tags, where its tag list may lag behind. */
export async function listTags(store: WriteStore, name: RepositoryName): Promise<Map<Tag, ListedObject>> {
  const tags = new Map<Tag, ListedObject>();
  for await (const object of store.list(tagsPrefix(name))) {
    const key = parseKey(object.key);
    if (key?.kind === 'tag') tags.set(key.tag, object);
  }
  return tags;
}

/** Lists all blobs, by realm. */
export async function listBlobs(store: WriteStore): Promise<Pick<BucketListing, 'blobs' | 'strange'>> {
  const blobs = new Map<string, Map<Digest, ListedObject>>();
  const strange: string[] = [];
  for await (const object of store.list(BLOBS_PREFIX)) {
    const key = parseKey(object.key);
    if (key?.kind !== 'blob') strange.push(object.key);
    else getOrMake(blobs, key.realm, () => new Map<Digest, ListedObject>()).set(key.digest, object);
  }
  return { blobs, strange };
}

/** What one form of a tag points at: null if its manifest cannot be read. `from`: what it was derived from. */
export interface FormLinks {
  readonly digest: Digest;
  readonly from: Digest | undefined;
  readonly links: ManifestLinks | null;
}

/** What a repository's manifests need. */
export interface RepositoryRecords {
  /** By tag: what each form of it points at; null for a tag object or form that cannot be read. */
  readonly tags: Map<Tag, readonly FormLinks[] | null>;
  /** By digest, of all manifests stored by digest; null for one that cannot be read. */
  readonly manifests: Map<Digest, ManifestLinks | null>;
}

/**
 * Reads all tag objects and manifests of a repository, keeping only what they point at. What vanished since the listing
 * is left out. Throws NewerVersionError for a tag that a newer gantry wrote, which may need what this program does not
 * know of.
 */
export async function readRecords(
  store: ReadStore,
  listing: RepositoryListing,
  options: { readonly onRead?: () => void; readonly onTag?: (tag: Tag, reading: ReadTag) => void } = {},
): Promise<RepositoryRecords> {
  const records: RepositoryRecords = { tags: new Map(), manifests: new Map() };
  await forEachLimit(listing.tags, READS_AT_ONCE, async ([tag, { key }]) => {
    const reading = await readTag(store, key);
    if (reading?.kind === 'newer') throw reading.error;
    if (reading !== null) records.tags.set(tag, reading.kind === 'read' ? formLinksOf(reading) : null);
    if (reading?.kind === 'read') options.onTag?.(tag, reading);
    options.onRead?.();
  });
  // A tag's manifests are in its object: only the others are worth a read.
  for (const forms of records.tags.values()) {
    for (const { digest, links } of forms ?? [])
      if (links !== null && listing.manifests.has(digest)) records.manifests.set(digest, links);
  }
  await forEachLimit(listing.manifests, READS_AT_ONCE, async ([digest, { key }]) => {
    if (!records.manifests.has(digest)) {
      const object = await readObject(store, key);
      if (object !== null) records.manifests.set(digest, readLinks(object.bytes));
    }
    options.onRead?.();
  });
  return records;
}

/** What each form of a tag points at. */
export function formLinksOf({ record, manifests }: ReadTag): readonly FormLinks[] {
  return record.forms.map(({ digest, source }, index) => ({
    digest,
    from: source.kind === 'derived' ? source.from : undefined,
    links: readLinks(manifests[index] ?? new Uint8Array()),
  }));
}

function file(
  repositories: Map<RepositoryName, RepositoryListing>,
  key: Extract<ParsedKey, { name: RepositoryName }>,
  object: ListedObject,
): void {
  const listing = getOrMake(repositories, key.name, () => ({
    tags: new Map(),
    manifests: new Map(),
    referrers: new Map(),
    signatures: new Map(),
    tagList: undefined,
  }));
  if (key.kind === 'tag') listing.tags.set(key.tag, object);
  else if (key.kind === 'manifest') listing.manifests.set(key.digest, object);
  else if (key.kind === 'referrers') listing.referrers.set(key.subject, object);
  else if (key.kind === 'signatures') listing.signatures.set(key.subject, object);
  else listing.tagList = object;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
