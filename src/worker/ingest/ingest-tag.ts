/**
 * A tag from the upstream to the bucket: fetched whole, derived in all its forms, then written in the order that leaves every tag complete at any moment: configs,
 * manifests, the tag object, lists. A tag that somebody published is never written over.
 */
import { derive } from '../../manifest/derive.ts';
import type { Derivation, DerivedManifest, ImageContent, Signer } from '../../manifest/image.ts';
import { summarizeTag } from '../../manifest/tag-summary.ts';
import { tagRecordOf } from '../../manifest/tag-record.ts';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import { blobKey, manifestKey, tagKey } from '../../registry/keys.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { encodeOriginMark, type OriginMark } from '../../registry/origin-mark.ts';
import type { RealmName } from '../../registry/realms.ts';
import { encodeTag, type TagRecord } from '../../registry/records.ts';
import { type ObjectInfo, type ReadStore, StorageError } from '../../registry/store.ts';
import type { OriginRule } from './origins.ts';
import type { BucketWriter } from './bucket-writer.ts';
import type { UpstreamImage } from './fetch-image.ts';
import { listTag } from './lists.ts';
import type { ObjectAtHand } from './overlay.ts';

/** Where a tag is to stand, and what with. */
export interface TagPlace {
  readonly rule: OriginRule;
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly realm: RealmName;
  readonly store: ReadStore;
  readonly writer: BucketWriter;
  /** Signs derived schema 1 manifests; null: none are derived. */
  readonly signer: Signer | null;
}

/** A tag as it now stands. Plain data: requests that waited share it. */
export interface FetchedTag {
  readonly object: ObjectAtHand;
  readonly mark: OriginMark;
}

/**
 * Writes a tag. `over`: the tag object that it replaces, which must be one of ours; null if there is none. `told`: what the upstream calls the tag's digest.
 * Gives `'published'` if somebody published the tag meanwhile. Throws StorageError where an older tag stays; where there is none, what was fetched is answered all the
 * same, and fetched again by the next to ask.
 */
export async function ingestTag(
  { content }: UpstreamImage,
  place: TagPlace,
  {
    over,
    told,
    now,
  }: { readonly over: Pick<ObjectInfo, 'etag' | 'uploaded'> | null; readonly told: Digest; readonly now: number },
): Promise<FetchedTag | 'published'> {
  const { rule, name, tag } = place;
  const derivation = deriveForms(content, place);
  const { record, bytes } = tagRecordOf(derivation, rfc3339(now));
  const mark: OriginMark = { origin: rule.name, digest: told, checked: now, gone: null };
  const { body, metadata } = encodeTag(record, bytes);
  const object: ObjectAtHand = {
    key: tagKey(name, tag),
    bytes: body,
    contentType: MEDIA_TYPES.octetStream,
    metadata: { ...metadata, ...encodeOriginMark(mark) },
  };
  try {
    if ((await writeTag(place, { content, derivation, object, over: over ?? 'absent' })) === 'changed')
      return 'published';
  } catch (error) {
    if (!(error instanceof StorageError) || over !== null) throw error;
    console.error(JSON.stringify({ event: 'tag-not-stored', name, tag, message: error.message }));
    return { object, mark };
  }
  await list(place, { content, derivation, record, bytes });
  return { object, mark };
}

/** Configs, manifests, the tag object: a crash at any point leaves the tag as it was. */
async function writeTag(
  { name, realm, writer }: TagPlace,
  {
    content,
    derivation,
    object,
    over,
  }: {
    readonly content: ImageContent;
    readonly derivation: Derivation;
    readonly object: ObjectAtHand;
    readonly over: 'absent' | Pick<ObjectInfo, 'etag' | 'uploaded'>;
  },
): Promise<'written' | 'changed'> {
  const configs = [...content.configs].map(([digest, bytes]) => ({ digest, bytes }));
  await Promise.all(
    [...configs, ...derivation.blobs].map(({ digest, bytes }) =>
      writer.put(blobKey(realm, digest), bytes, {
        contentType: MEDIA_TYPES.octetStream,
        over: null,
        ...checkOf(digest),
      }),
    ),
  );
  await Promise.all(
    [...derivation.others, ...derivation.forms].map((manifest) => writeManifest(writer, name, manifest)),
  );
  return writer.put(object.key, object.bytes, { contentType: object.contentType, metadata: object.metadata, over });
}

/** Puts the tag into the lists. It stands and can be pulled without: where that fails, they are written with the next tag that comes, or by `gantry verify --repair`. */
async function list(
  { name, tag, store, writer }: TagPlace,
  {
    content,
    derivation,
    record,
    bytes,
  }: { content: ImageContent; derivation: Derivation; record: TagRecord; bytes: readonly Uint8Array[] },
): Promise<void> {
  const byDigest = new Map(
    [...derivation.others, ...derivation.forms].map((manifest) => [manifest.digest, manifest.bytes]),
  );
  try {
    const summary = await summarizeTag(
      { record, manifests: bytes },
      {
        manifest: (digest) => Promise.resolve(byDigest.get(digest) ?? null),
        blob: (digest) => Promise.resolve(content.configs.get(digest) ?? null),
        blobSize: () => Promise.resolve(null),
      },
    );
    await listTag({ store, writer }, name, tag, summary);
  } catch (error) {
    console.error(
      JSON.stringify({
        event: 'list-not-written',
        name,
        tag,
        message: error instanceof Error ? error.message : String(error),
      }),
    );
  }
}

/** Writes the tag object again with another mark, over exactly that one; its forms stay. Throws StorageError. */
export async function markTag(
  { writer }: Pick<TagPlace, 'writer'>,
  info: ObjectInfo,
  body: Uint8Array,
  mark: OriginMark,
): Promise<'written' | 'changed'> {
  return writer.put(info.key, body, {
    contentType: info.contentType ?? MEDIA_TYPES.octetStream,
    metadata: { ...info.metadata, ...encodeOriginMark(mark) },
    over: info,
  });
}

/**
 * Empties the tag object of a tag that the upstream does not have any more. It is not deleted: no deletion can be made on the condition that nobody has published the tag
 * in between. Throws StorageError.
 */
export async function buryTag(
  { writer }: Pick<TagPlace, 'writer'>,
  info: ObjectInfo,
  mark: OriginMark,
  now: number,
): Promise<'written' | 'changed'> {
  const { body, metadata } = encodeTag({ updated: rfc3339(now), forms: [], missing: [] }, []);
  return writer.put(info.key, body, {
    contentType: MEDIA_TYPES.octetStream,
    metadata: { ...metadata, ...encodeOriginMark(mark) },
    over: info,
  });
}

// Without a key there is no schema 1: one that nobody signed is read by engines that do not verify, and refused by those that do.
function deriveForms(content: ImageContent, { name, tag, signer }: TagPlace): Derivation {
  const derivation = derive(content, { name, tag, signer: signer ?? { sign: (payload) => payload }, mode: 'strict' });
  if (signer !== null) return derivation;
  const isKept = ({ form, source }: DerivedManifest): boolean =>
    form !== 'docker-schema1' || source.kind === 'published';
  const unsigned = derivation.forms.filter((form) => !isKept(form));
  return {
    ...derivation,
    forms: derivation.forms.filter(isKept),
    others: derivation.others.filter(isKept),
    missing: [
      ...derivation.missing,
      ...unsigned.map(({ form, platform }) => ({
        form,
        reason: 'schema1-not-published' as const,
        ...(platform !== undefined && { platform }),
      })),
    ],
    explanations: [
      ...derivation.explanations,
      ...unsigned.map(() => 'the Worker has no SIGNING_KEY to sign schema 1 manifests with'),
    ],
  };
}

/** Writes a manifest under its digest. A schema 1 made here does not take the place of one that is there: theirs may have another signature, and be published. */
export async function writeManifest(
  writer: BucketWriter,
  name: RepositoryName,
  manifest: DerivedManifest,
): Promise<void> {
  const { digest, mediaType, bytes, form, source } = manifest;
  const ofPayload = form === 'docker-schema1';
  await writer.put(manifestKey(name, digest), bytes, {
    contentType: mediaType,
    over: ofPayload && source.kind === 'derived' ? 'absent' : null,
    ...(ofPayload ? {} : checkOf(digest)),
  });
}

function checkOf(digest: Digest): { readonly sha256?: string } {
  return algorithmOf(digest) === 'sha256' ? { sha256: hexOf(digest) } : {};
}

function rfc3339(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}
