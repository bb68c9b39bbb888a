/**
 * Copies a tag from the upstream to the bucket. Its forms are derived and written in an order that leaves the tag
 * complete at any moment: configs, manifests, the tag object, lists. A published tag is never written over.
 */
import { openLists, refuseNewerLists } from '../../bucket/lists.ts';
import type { OriginImage } from '../../bucket/origin-image.ts';
import { CONFLICT_RETRY } from '../../bucket/retry.ts';
import { writeBlob, writeManifest } from '../../bucket/write-image.ts';
import { type ReplacedObject, writeTag, type Written } from '../../bucket/write-tag.ts';
import type { RetryPolicy } from '../../http/retry.ts';
import { derive } from '../../manifest/derive.ts';
import type { Derivation, DerivedManifest, ImageContent, Signer } from '../../manifest/image.ts';
import { summarizeTag } from '../../manifest/tag-summary.ts';
import { tagRecordOf } from '../../manifest/tag-record.ts';
import type { Digest } from '../../registry/digest.ts';
import { tagKey } from '../../registry/keys.ts';
import { NewerVersionError } from '../../registry/unreadable-record.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { encodeOriginMark, type OriginMark } from '../../registry/origin-mark.ts';
import type { RealmName } from '../../registry/realms.ts';
import { encodeTag, publishedDigests, type TagRecord } from '../../registry/records.ts';
import { StorageError, type WriteStore } from '../../registry/store.ts';
import type { TagEntry } from '../../registry/summary.ts';
import { logFailure } from '../log/event.ts';
import { expiryFrom, type OriginRule } from './origins.ts';
import type { ObjectAtHand } from './overlay.ts';

/** Most bytes of all manifests that are derived for a tag: they are in memory at once. */
const MOST_DERIVED = 8 * 1024 * 1024;

/** The tag to write, and what it is written with. */
export interface TagPlace {
  readonly rule: OriginRule;
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly realm: RealmName;
  readonly store: WriteStore;
  /** Signs derived schema 1 manifests; null: none are derived. */
  readonly signer: Signer | null;
}

/** A tag as it is stored: plain data, because waiting requests share it. */
export interface FetchedTag {
  readonly object: ObjectAtHand;
  readonly mark: OriginMark;
}

/**
 * Writes a tag. `over`: the fetched tag object that it replaces; null if there is none. `upstreamDigest`: the tag's
 * digest at the upstream. Gives `'published'` if the tag was published meanwhile. Throws StorageError if an older tag
 * is stored; without one, the fetched tag is served nevertheless, and fetched again for the next request.
 */
export async function ingestTag(
  { content, unknown }: OriginImage,
  place: TagPlace,
  {
    over,
    upstreamDigest,
    now,
  }: { readonly over: ReplacedObject; readonly upstreamDigest: Digest; readonly now: number },
): Promise<FetchedTag | 'published'> {
  const { rule, name, tag } = place;
  const derivation = withUnknown(deriveForms(content, place), unknown);
  const { record, bytes } = tagRecordOf(derivation, rfc3339(now));
  const mark: OriginMark = {
    origin: rule.name,
    digest: upstreamDigest,
    checked: now,
    gone: null,
    unknown: unknown.length,
    ...expiryFrom(rule, now),
  };
  const { body, metadata } = encodeTag(record, bytes);
  const object: ObjectAtHand = {
    key: tagKey(name, tag),
    bytes: body,
    contentType: MEDIA_TYPES.octetStream,
    metadata: { ...metadata, ...encodeOriginMark(mark) },
  };
  let written: Written;
  try {
    written = await writeAll(place, { content, derivation, object, over });
  } catch (error) {
    if (!(error instanceof StorageError) || over !== null) throw error;
    logFailure('tag-not-stored', { name, tag }, error);
    return { object, mark };
  }
  if (written === 'precondition-failed') return 'published';
  await list(place, { content, derivation, record, bytes, etag: written.etag });
  return { object, mark };
}

/** Configs, manifests, the tag object: a crash at any point leaves the tag as it was. */
async function writeAll(
  { name, realm, store }: TagPlace,
  {
    content,
    derivation,
    object,
    over,
  }: {
    readonly content: ImageContent;
    readonly derivation: Derivation;
    readonly object: ObjectAtHand;
    readonly over: ReplacedObject;
  },
): Promise<Written> {
  const configs = [...content.configs].map(([digest, bytes]) => ({ digest, bytes }));
  await Promise.all([
    refuseUnlisted(store, name),
    ...[...configs, ...derivation.blobs].map((blob) => writeBlob(store, realm, blob)),
  ]);
  await Promise.all(
    [...derivation.others, ...derivation.forms].map((manifest) => writeManifest(store, name, manifest)),
  );
  return writeTag(store, { key: object.key, body: object.bytes, metadata: object.metadata }, over);
}

/** Throws StorageError where a newer gantry wrote the lists: the tag would be missing from them. */
export async function refuseUnlisted(store: WriteStore, name: RepositoryName): Promise<void> {
  try {
    await refuseNewerLists(store, name);
  } catch (cause) {
    if (!(cause instanceof NewerVersionError)) throw cause;
    throw new StorageError('STORAGE_DENIED', cause.message, { cause });
  }
}

/** Attempts to write a list that others write at the same time: a Worker can make only so many requests. */
export const LIST_CONFLICTS: RetryPolicy = { ...CONFLICT_RETRY, attempts: 8 };

/**
 * Enters the tag into the lists. Clients can pull it without: after a failure here, the next tag of the repository or
 * `gantry verify --repair` writes them.
 */
async function list(
  { name, tag, store }: TagPlace,
  {
    content,
    derivation,
    record,
    bytes,
    etag,
  }: {
    content: ImageContent;
    derivation: Derivation;
    record: TagRecord;
    bytes: readonly Uint8Array[];
    etag: string;
  },
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
    const entry: TagEntry = { ...summary, etag, digests: publishedDigests(record) };
    await openLists(store, { policy: LIST_CONFLICTS }).update(name, tag, { kind: 'written', entry });
  } catch (error) {
    logFailure('list-not-written', { name, tag }, error);
  }
}

// Without a key, no schema 1 is derived: an unsigned one is accepted only by engines that do not verify signatures.
function deriveForms(content: ImageContent, { name, tag, signer }: TagPlace): Derivation {
  const derivation = derive(content, {
    name,
    tag,
    signer: signer ?? { sign: (payload) => payload },
    mode: 'strict',
    mostDerived: MOST_DERIVED,
  });
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

/**
 * Notes forms that the upstream may have: what was given as the reason for the lack of one, the upstream's failure
 * hides.
 */
function withUnknown(derivation: Derivation, unknown: OriginImage['unknown']): Derivation {
  const lacking = unknown.filter(({ form: wanted }) => derivation.forms.every(({ form }) => form !== wanted));
  if (lacking.length === 0) return derivation;
  const kept = derivation.missing.map((row, at) => ({ row, explanation: derivation.explanations[at] ?? '' }));
  const others = kept.filter(({ row }) => lacking.every(({ form }) => form !== row.form));
  return {
    ...derivation,
    missing: [
      ...others.map(({ row }) => row),
      ...lacking.map(({ form }) => ({ form, reason: 'form-unknown' as const })),
    ],
    explanations: [...others.map(({ explanation }) => explanation), ...lacking.map(({ error }) => error.message)],
  };
}

/** A time in milliseconds as RFC 3339 UTC, whole seconds. */
export function rfc3339(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}
