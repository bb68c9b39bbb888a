/**
 * Reads a bucket once, whole or one repository of it: what is there (listings) and what it needs (tag objects, manifests).
 * `gc` marks over it, `verify` compares with it.
 */
import { buffer } from 'node:stream/consumers';
import type { Digest } from '../registry/digest.ts';
import { BLOBS_PREFIX, parseKey, type ParsedKey, REPOSITORIES_PREFIX, repositoryPrefix } from '../registry/keys.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import { CorruptRecordError, decodeTagIndex, decodeTagMetadata, type TagRecord } from '../registry/records.ts';
import type { ListedObject, ObjectInfo, ReadStore, StoredObject, WriteStore } from '../registry/store.ts';
import { type ManifestLinks, readLinks } from '../manifest/links.ts';
import { eachOf } from './concurrency.ts';

/** How many reads go on at once. */
export const READS_AT_ONCE = 32;

/** Everything that stands under one repository's name. */
export interface RepositoryListing {
  readonly tags: Map<Tag, ListedObject>;
  readonly manifests: Map<Digest, ListedObject>;
  readonly referrers: Map<Digest, ListedObject>;
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

/** A tag object, read: its record with the bytes of its manifests, or why it cannot be read. */
export type TagReading =
  | {
      readonly kind: 'read';
      readonly info: ObjectInfo;
      readonly record: TagRecord;
      readonly manifests: readonly Uint8Array[];
      readonly trailing: number;
    }
  | { readonly kind: 'corrupt'; readonly message: string };

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

/** Reads a whole object; null if it is not there. */
export async function readObject(
  store: ReadStore,
  key: string,
): Promise<{ readonly info: ObjectInfo; readonly bytes: Uint8Array } | null> {
  const object = await store.get(key);
  if (object === null) return null;
  // Only a read of a given version can find another one.
  if (object === 'changed') throw new TypeError('an unconditional read cannot find a changed object');
  return { info: object, bytes: await readBody(object) };
}

/** Reads a tag object with all its manifests; null if it is not there. */
export async function readTag(store: ReadStore, key: string): Promise<TagReading | null> {
  const object = await readObject(store, key);
  return object === null ? null : openTag(object.info, object.bytes);
}

/** Takes a tag object apart. Pure. */
export function openTag(info: ObjectInfo, body: Uint8Array): TagReading {
  try {
    const index = decodeTagMetadata(info.metadata);
    const start = index.kind === 'record' ? 0 : index.length;
    const record = index.kind === 'record' ? index.record : decodeTagIndex(body.subarray(0, start));
    const end = record.forms.reduce((most, form) => Math.max(most, form.offset + form.length), 0);
    if (start + end > body.length) {
      return {
        kind: 'corrupt',
        message: `its index tells of ${String(start + end)} bytes, the object has ${String(body.length)}`,
      };
    }
    const manifests = record.forms.map(({ offset, length }) => body.subarray(start + offset, start + offset + length));
    return { kind: 'read', info, record, manifests, trailing: body.length - start - end };
  } catch (error) {
    if (error instanceof CorruptRecordError) return { kind: 'corrupt', message: error.message };
    throw error;
  }
}

/** What a repository's manifests need. */
export interface RepositoryRecords {
  /** By tag: what each form of it points at; null for a tag object or form that cannot be read. */
  readonly tags: Map<
    Tag,
    | readonly { readonly digest: Digest; readonly from: Digest | undefined; readonly links: ManifestLinks | null }[]
    | null
  >;
  /** By digest, of all manifests stored by digest; null for one that cannot be read. */
  readonly manifests: Map<Digest, ManifestLinks | null>;
}

/** Reads all tag objects and manifests of a repository, keeping only what they point at. What vanished since the listing is left out. */
export async function readRecords(
  store: ReadStore,
  listing: RepositoryListing,
  options: { readonly onRead?: () => void } = {},
): Promise<RepositoryRecords> {
  const records: RepositoryRecords = { tags: new Map(), manifests: new Map() };
  await eachOf(listing.tags, READS_AT_ONCE, async ([tag, { key }]) => {
    const reading = await readTag(store, key);
    if (reading !== null) records.tags.set(tag, reading.kind === 'corrupt' ? null : formsOf(reading));
    options.onRead?.();
  });
  // A tag's manifests are in its object: only the others are worth a read.
  for (const forms of records.tags.values()) {
    for (const { digest, links } of forms ?? [])
      if (links !== null && listing.manifests.has(digest)) records.manifests.set(digest, links);
  }
  await eachOf(listing.manifests, READS_AT_ONCE, async ([digest, { key }]) => {
    if (!records.manifests.has(digest)) {
      const object = await readObject(store, key);
      if (object !== null) records.manifests.set(digest, readLinks(object.bytes));
    }
    options.onRead?.();
  });
  return records;
}

function formsOf(
  reading: Extract<TagReading, { kind: 'read' }>,
): readonly { digest: Digest; from: Digest | undefined; links: ManifestLinks | null }[] {
  return reading.record.forms.map(({ digest, source }, index) => ({
    digest,
    from: source.kind === 'derived' ? source.from : undefined,
    links: readLinks(reading.manifests[index] ?? new Uint8Array()),
  }));
}

async function readBody({ body, size }: StoredObject): Promise<Uint8Array> {
  const bytes = await buffer(body);
  // The store promises all or an error; a short body here would make what it names look unreferenced.
  if (bytes.length !== size) throw new Error(`the store gave ${String(bytes.length)} of ${String(size)} bytes`);
  return bytes;
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
    tagList: undefined,
  }));
  if (key.kind === 'tag') listing.tags.set(key.tag, object);
  else if (key.kind === 'manifest') listing.manifests.set(key.digest, object);
  else if (key.kind === 'referrers') listing.referrers.set(key.subject, object);
  else listing.tagList = object;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
