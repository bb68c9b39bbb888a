/**
 * Referrers: manifests that refer to an image (signatures, attestations, SBOMs), and the records by which clients find
 * them.
 */
import type { DerivedManifest, Manifest } from '../manifest/image.ts';
import { type ManifestLinks, readLinks } from '../manifest/links.ts';
import { type BundleLink, signersOfBundle, signersOfManifest } from '../manifest/signers/signers.ts';
import { sha256Of } from '../manifest/signing/sha256.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import { referrersKey } from '../registry/keys.ts';
import { isListForm, MEDIA_TYPE_OF_FORM } from '../registry/media-type.ts';
import type { RepositoryName } from '../registry/name.ts';
import { isFetched, ORIGIN_METADATA } from '../registry/origin-mark.ts';
import { decodeReferrers, encodeReferrers } from '../registry/referrers.ts';
import { type ObjectInfo, type ReadStore, StorageError, type WriteStore } from '../registry/store.ts';
import type { ImageSource } from './image-source.ts';
import { verifiedManifest } from './read-image.ts';
import { readObject } from './read-object.ts';
import { type ConflictOptions, untilWritten } from './retry.ts';
import { replaceCondition, type Written } from './write-tag.ts';
import { CorruptRecordError } from '../registry/unreadable-record.ts';

/** Most referrers that are read of one image: a limit that guards against malicious input. */
const REFERRERS_MAX = 1_000;

/** The referrers of an image: their manifests, and what each subject's record must list. */
export interface Referrers {
  readonly manifests: readonly DerivedManifest[];
  readonly records: ReadonlyMap<Digest, readonly Descriptor[]>;
}

/**
 * Finds what refers to the manifests, and what refers to that, all the way. With `follow` false only what they declare
 * themselves (`subject`) is recorded.
 */
export async function readReferrers(
  source: ImageSource,
  manifests: readonly Manifest[],
  follow: boolean,
): Promise<Referrers> {
  const found = new Map<Digest, Manifest>();
  const records = new Map<Digest, Descriptor[]>();
  const record = (subject: Digest, descriptor: Descriptor): void => {
    const listed = records.get(subject) ?? [];
    if (!listed.some(({ digest }) => digest === descriptor.digest)) records.set(subject, [...listed, descriptor]);
  };
  const read = async ({ digest, mediaType }: Descriptor): Promise<Manifest | null> => {
    const known = found.get(digest) ?? manifests.find((one) => one.digest === digest);
    if (known !== undefined) return known;
    const given = await source.manifest(digest, { mediaType });
    if (given === null) return null;
    const manifest = verifiedManifest({ mediaType, ...given }, digest);
    found.set(digest, manifest);
    return manifest;
  };
  const seen = new Set<Digest>();
  const queue = [...manifests];
  for (let manifest = queue.shift(); manifest !== undefined; manifest = queue.shift()) {
    const { digest, bytes, mediaType } = manifest;
    if (seen.has(digest)) continue;
    seen.add(digest);
    const links = readLinks(bytes);
    if (links?.subject !== undefined)
      record(
        links.subject,
        await withSigners(source, bytes, descriptorOf(digest, { links, size: bytes.length, contentType: mediaType })),
      );
    for (const descriptor of follow && found.size < REFERRERS_MAX ? await source.referrers(digest) : []) {
      const referrer = await read(descriptor);
      if (referrer === null) continue;
      queue.push(referrer);
      const own = readLinks(referrer.bytes);
      // One that was found by a fallback tag does not declare its subject: the source does.
      if (own?.subject !== digest) record(digest, await withSigners(source, referrer.bytes, descriptor));
      if (isListForm(referrer.form)) for (const child of own?.children ?? []) await read(child);
    }
  }
  return {
    manifests: [...found.values()].map((manifest) => ({ ...manifest, source: { kind: 'published' } })),
    records,
  };
}

/** The descriptor of a signature with the signers that it claims, for pages; other descriptors as they are. */
async function withSigners(source: ImageSource, bytes: Uint8Array, descriptor: Descriptor): Promise<Descriptor> {
  const { signers, bundle } = signersOfManifest(bytes);
  const all = bundle === null ? signers : [...signers, ...signersOfBundle(await readBundle(source, bundle))];
  return all.length === 0 ? descriptor : { ...descriptor, signers: all };
}

/**
 * Reads a bundle; empty if it cannot be read. The claims are a convenience: a source that fails is reported where the
 * blob is copied.
 */
async function readBundle(source: ImageSource, { digest, size }: BundleLink): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  try {
    const blob = await source.blob(digest);
    let at = 0;
    for await (const chunk of blob?.chunks ?? []) {
      if (at + chunk.length > size) return new Uint8Array();
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return at === size && digest === sha256Of(bytes) ? bytes : new Uint8Array();
  } catch {
    return new Uint8Array();
  }
}

/** A stored manifest, as a referrers record describes it. */
export interface StoredManifest {
  readonly links: ManifestLinks;
  readonly size: number;
  readonly contentType: string;
}

/** The descriptor of a manifest in a referrers record (OCI distribution spec 1.1, "Listing Referrers"). */
export function descriptorOf(digest: Digest, { links, size, contentType }: StoredManifest): Descriptor {
  const artifactType = links.artifactType ?? links.configMediaType;
  return {
    mediaType: links.mediaType ?? contentType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(links.annotations === undefined ? {} : { annotations: links.annotations }),
  };
}

/** A referrers record. `descriptors` is null where it cannot be read. */
export interface ReferrersRecord {
  readonly info: ObjectInfo;
  readonly descriptors: readonly Descriptor[] | null;
}

/** Reads a referrers record; null if there is none. */
export async function readReferrersRecord(store: ReadStore, key: string): Promise<ReferrersRecord | null> {
  const object = await readObject(store, key);
  if (object === null) return null;
  try {
    return { info: object.info, descriptors: decodeReferrers(object.bytes) };
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error;
    return { info: object.info, descriptors: null };
  }
}

/**
 * Writes a referrers record over the version that was read; null: there must be none. `metadata`: default that of the
 * version before.
 */
export function writeReferrersRecord(
  store: WriteStore,
  key: string,
  descriptors: readonly Descriptor[],
  over: ObjectInfo | null,
  metadata: Readonly<Record<string, string>> | undefined = over?.metadata,
): Promise<Written> {
  return store.put(key, encodeReferrers(descriptors), {
    contentType: MEDIA_TYPE_OF_FORM['oci-index'],
    ...(metadata !== undefined && { metadata }),
    onlyIf: replaceCondition(over),
  });
}

function withoutMark(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== ORIGIN_METADATA));
}

/** Adds what referrers records lack. Gives the keys of all of them. Throws {@link StorageError}. */
export async function addReferrers(
  store: WriteStore,
  name: RepositoryName,
  records: Referrers['records'],
  options: ConflictOptions,
): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const [subject, descriptors] of records) {
    const key = referrersKey(name, subject);
    keys.push(key);
    await untilWritten(
      `the list of what refers to ${subject}`,
      async () => {
        const record = await readReferrersRecord(store, key);
        const fetched = record !== null && isFetched(record.info.metadata);
        // Like a tag, a record that was fetched from an upstream no longer follows it once somebody publishes it.
        const before = record === null || fetched ? [] : record.descriptors;
        if (before === null) throw new StorageError('STORAGE_CORRUPT', `the referrers record ${key} cannot be read`);
        const added = descriptors.filter(({ digest }) => !before.some((one) => one.digest === digest));
        if (added.length === 0) return undefined;
        const over = record?.info ?? null;
        return fetched
          ? writeReferrersRecord(store, key, added, over, withoutMark(record.info.metadata))
          : writeReferrersRecord(store, key, [...before, ...added], over);
      },
      options,
    );
  }
  return keys;
}
