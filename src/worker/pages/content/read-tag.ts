/** Reads what the pages of a tag show, with at most two reads. */
import { isTombstone } from '../../../bucket/read-tag.ts';
import { type ByteReader, readAll, readBytes } from '../../../bucket/read-object.ts';
import { isNameless } from '../../../manifest/from-schema1.ts';
import { signersOfManifest } from '../../../manifest/signers/signers.ts';
import type { SignerClaim } from '../../../registry/descriptor.ts';
import type { Digest } from '../../../registry/digest.ts';
import { blobKey, manifestKey, tagKey } from '../../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../../registry/name.ts';
import { decodeOriginMark, type OriginMark } from '../../../registry/origin-mark.ts';
import type { RealmName } from '../../../registry/realms.ts';
import { decodeTagIndex, decodeTagMetadata, type TagForm, type TagRecord } from '../../../registry/records.ts';
import type { ReadStore } from '../../../registry/store.ts';
import {
  type ChildView,
  type ConfigView,
  type ManifestView,
  readChildren,
  readConfigView,
  readManifestView,
} from './image-view.ts';
import { imagesOf, type PlatformImage, schema1Of, shownForm, shownList } from './tag-forms.ts';
import { CorruptRecordError } from '../../../registry/unreadable-record.ts';

/** What a tag object says. */
export interface TagObjectView {
  readonly record: TagRecord;
  /** Set if the tag was fetched from an upstream. */
  readonly origin: OriginMark | null;
  /** Whether its published schema 1 has an empty name. */
  readonly nameless: boolean;
  /** The entries of the tag's list; empty for a single image. */
  readonly children: readonly ChildView[];
  /** The images of the list, each platform once. */
  readonly images: readonly PlatformImage[];
  /** The requested image of the list; null without a request. */
  readonly chosen: PlatformImage | null;
  /** The manifest of the chosen image, or the default one; null if the tag object does not contain it. */
  readonly manifest: ManifestView | null;
  /** Who signed, if the tag is a signature (cosign's tags). */
  readonly signers: readonly SignerClaim[];
  /** The config and history in the chosen image's schema 1; null without. */
  readonly schema1: ConfigView | null;
}

/** The stored facts about a tag, for its page. */
export interface TagContent extends Omit<TagObjectView, 'schema1'> {
  /** How the image runs, and its history; null if it is not read here. */
  readonly details: ConfigView | null;
}

/** The tag has no image for the requested platform. */
export interface PlatformMissing {
  readonly kind: 'platform-missing';
  readonly available: readonly string[];
}

/** Where a repository is stored. */
export interface PagePlace {
  readonly store: ReadStore;
  readonly realm: RealmName;
  readonly name: RepositoryName;
}

/** Maximum size of a manifest or config that a page reads, in bytes: the limit of registries and clients. */
const DOCUMENT_MAX = 4 * 1024 * 1024;

/**
 * Reads a tag, or one platform of it, in two reads: the tag object, and the config or the platform's manifest. The tag
 * object contains the manifest of the default platform alone. Of another one, history and config come from its schema
 * 1, which the tag object contains. Null if there is no such tag. Throws `StorageError`, {@link CorruptRecordError}.
 */
export async function readTag(
  place: PagePlace,
  tag: Tag,
  platform: string | null = null,
): Promise<TagContent | PlatformMissing | null> {
  const object = await readTagObject(place, tag, platform);
  if (object === null || 'kind' in object) return object;
  const { schema1, chosen, ...content } = object;
  if (content.manifest === null && chosen !== null) {
    const bytes = await readDocument(place.store, manifestKey(place.name, chosen.digest));
    const manifest = bytes === null ? null : readManifestView(bytes.bytes);
    return { ...content, chosen, manifest, details: schema1 ?? manifest?.details ?? null };
  }
  return { ...content, chosen, details: await readDetails(place, content.manifest) };
}

/** Reads a tag object in one read; null if there is no such tag. Throws like {@link readTag}. */
export async function readTagObject(
  { store, name }: PagePlace,
  tag: Tag,
  platform: string | null = null,
): Promise<TagObjectView | PlatformMissing | null> {
  const object = await store.get(tagKey(name, tag));
  if (object === null || object === 'changed') return null;
  const reader = readBytes(object.body);
  try {
    if (isTombstone(object)) return null;
    const index = decodeTagMetadata(object.metadata);
    const offset = index.kind === 'record' ? 0 : index.length;
    if (offset > object.size) throw new CorruptRecordError('the tag object is shorter than its index');
    const record = index.kind === 'record' ? index.record : decodeTagIndex(await reader.take(offset));
    const bytesOf = await readForms(record, reader, object.size - offset);
    const listBytes = bytesOf(shownList(record));
    const children = listBytes === null ? [] : readChildren(listBytes);
    const images = imagesOf(children);
    const chosen = images.find((image) => image.platform === platform) ?? null;
    if (platform !== null && chosen === null)
      return { kind: 'platform-missing', available: images.map((image) => image.platform) };
    const manifestBytes = bytesOf(ofImage(shownForm(record, chosen), chosen));
    const schema1Bytes = chosen === null ? null : bytesOf(schema1Of(record, chosen));
    const published = bytesOf(publishedSchema1(record));
    return {
      record,
      origin: decodeOriginMark(object.metadata),
      nameless: published !== null && isNameless(published),
      children,
      images,
      chosen,
      manifest: manifestBytes === null ? null : readManifestView(manifestBytes),
      signers: manifestBytes === null ? [] : signersOfManifest(manifestBytes).signers,
      schema1: schema1Bytes === null ? null : (readManifestView(schema1Bytes)?.details ?? null),
    };
  } finally {
    await reader.end();
  }
}

/** The form, unless it is a chosen platform's schema 1: that has no sizes, and the bucket has the manifest. */
function ofImage(form: TagForm | null, chosen: PlatformImage | null): TagForm | null {
  return chosen !== null && form?.form === 'docker-schema1' ? null : form;
}

/** Reads the forms that a page may show, in the order of the object. */
async function readForms(
  record: TagRecord,
  reader: ByteReader,
  size: number,
): Promise<(form: TagForm | null) => Uint8Array | null> {
  const bytes = new Map<TagForm, Uint8Array>();
  let at = 0;
  for (const form of [...record.forms].sort((a, b) => a.offset - b.offset)) {
    if (form.length > DOCUMENT_MAX) continue;
    if (form.offset < at || form.offset + form.length > size)
      throw new CorruptRecordError('a form lies outside the tag object');
    await reader.skip(form.offset - at);
    bytes.set(form, await reader.take(form.length));
    at = form.offset + form.length;
  }
  return (form) => (form === null ? null : (bytes.get(form) ?? null));
}

/** Reads the config of an image; null for artifacts, and if it is missing or unreadable. At most one read. */
export async function readDetails(
  { store, realm }: PagePlace,
  manifest: ManifestView | null,
): Promise<ConfigView | null> {
  if (manifest?.kind !== 'image') return null;
  if (manifest.config === null) return manifest.details;
  const document = await readDocument(store, blobKey(realm, manifest.config.digest));
  return document === null ? null : readConfigView(document.bytes);
}

/** Reads a manifest by its digest; null if it is not stored. One read. */
export function readStoredManifest({ store, name }: PagePlace, digest: Digest): Promise<StoredDocument | null> {
  return readDocument(store, manifestKey(name, digest));
}

/** A small object. */
export interface StoredDocument {
  readonly bytes: Uint8Array;
  readonly contentType: string | null;
}

/** Reads a small object; null if it is not stored, or longer than `limit`. One read. */
export async function readDocument(
  store: ReadStore,
  key: string,
  limit: number = DOCUMENT_MAX,
): Promise<StoredDocument | null> {
  const object = await store.get(key);
  if (object === null || object === 'changed') return null;
  if (object.size > limit) {
    await object.body.cancel();
    return null;
  }
  return { bytes: await readAll(object.body, object.size), contentType: object.contentType ?? null };
}

function publishedSchema1({ forms }: TagRecord): TagForm | null {
  return forms.find(({ form, source }) => form === 'docker-schema1' && source.kind === 'published') ?? null;
}
