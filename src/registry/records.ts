/**
 * The tag object: one object for each tag, written by the publisher and by pull-through, read by the Worker.
 *
 * The body is the manifests of all forms, one after the other. The index is JSON in the custom metadata {@link
 * INDEX_METADATA}. An index longer than {@link INDEX_METADATA_MAX} bytes is the head of the body instead, and the
 * metadata holds only its length (R2 stores 8,192 bytes of metadata for an object). So any form costs one read, its
 * headers cost one head, and one PUT moves the tag in all its forms at once.
 *
 * The index is `{"v":1,"t":"<updated>","f":[form…],"m":[missing…],"z":[n…],"n":[[n, codes]…]}`:
 * - a form is `[form, digest, offset, length, source, platform?]`; `source` is `"p"` (published) or the digest of the
 *   manifest that it was derived from; offsets count from the end of an index in the body;
 * - a missing form is `[form, reason, platform?]`;
 * - `z`, which may be absent, has the positions in `f` of forms with zstd layers. Older readers ignore it.
 * - `n`, which may be absent, has `[position in f, codes]` of forms with layer types that their specification does not
 *   have: code `z` for Docker's zstd type, `o` for OCI types in a Docker manifest. Older readers ignore it.
 */
import { type Digest, parseDigest } from './digest.ts';
import { isReason, type Reason } from './errors.ts';
import { type Form, MEDIA_TYPE_OF_FORM, type NonstandardLayers } from './media-type.ts';
import { CorruptRecordError, refuseNewer } from './unreadable-record.ts';
import { formatPlatform, parsePlatform, type Platform } from './platform.ts';

/** The version of the record format that this code reads and writes. */
export const RECORD_VERSION = 1;

/** Name of the custom metadata with the index. */
export const INDEX_METADATA = 'gantry-tag';

/** Longest index in the metadata, in bytes. */
export const INDEX_METADATA_MAX = 7_680;

/** One manifest of a tag. */
export interface TagForm {
  readonly form: Form;
  readonly mediaType: string;
  /** The digest of the bytes, or of the payload for schema 1. */
  readonly digest: Digest;
  /** Its position in the manifests of the {@link TagRecord}, in bytes. */
  readonly offset: number;
  readonly length: number;
  /** Published: the exact bytes of the publisher. Derived: made by Gantry from the manifest with that digest. */
  readonly source: { readonly kind: 'published' } | { readonly kind: 'derived'; readonly from: Digest };
  /** The platform of a list's child; absent for the list itself and for single images. */
  readonly platform?: Platform;
  /** Set if a layer of it, or of an image in its list, has zstd compression. Older records do not have it. */
  readonly zstd?: true;
  /**
   * Set where a layer type of it, or of an image that it lists, is not in its specification: some libraries refuse it.
   */
  readonly nonstandard?: readonly NonstandardLayers[];
}

/** A form that the tag does not have, and why. */
export interface MissingForm {
  readonly form: Form;
  readonly reason: Reason;
  readonly platform?: Platform;
}

/** All forms of one tag. */
export interface TagRecord {
  /** When the tag was last moved, RFC 3339 UTC. */
  readonly updated: string;
  /** In order of preference where a client accepts several equally: published roots first. */
  readonly forms: readonly TagForm[];
  readonly missing: readonly MissingForm[];
}

/**
 * The digests that were published under a tag. A form for one platform is a child of the published list and does not
 * count: a tag that moves from a list to its child has moved.
 */
export function publishedDigests({ forms }: Pick<TagRecord, 'forms'>): readonly Digest[] {
  const roots = forms.filter(
    ({ source, platform, form }) =>
      source.kind === 'published' && (platform === undefined || form === 'docker-schema1'),
  );
  return roots.map(({ digest }) => digest);
}

const FORM_CODES = {
  oi: 'oci-index',
  dl: 'docker-list',
  om: 'oci-manifest',
  s2: 'docker-schema2',
  s1: 'docker-schema1',
} as const satisfies Record<string, Form>;

const NONSTANDARD_CODES = { 'docker-zstd': 'z', 'oci-in-docker': 'o' } as const satisfies Record<
  NonstandardLayers,
  string
>;

const CODE_OF_FORM = Object.fromEntries(Object.entries(FORM_CODES).map(([code, form]) => [form, code])) as Record<
  Form,
  string
>;

/** Encodes a tag object. `manifests`: the bytes of the forms, in the record's order and without gaps. */
export function encodeTag(
  record: TagRecord,
  manifests: readonly Uint8Array[],
): { body: Uint8Array; metadata: Record<string, string> } {
  const packed = record.forms.flatMap(({ zstd }, at) => (zstd === true ? [at] : []));
  const nonstandard = record.forms.flatMap((form, at) =>
    form.nonstandard === undefined ? [] : [[at, form.nonstandard.map((kind) => NONSTANDARD_CODES[kind]).join('')]],
  );
  const index = JSON.stringify({
    v: RECORD_VERSION,
    t: record.updated,
    f: record.forms.map(({ form, digest, offset, length, source, platform }) => [
      CODE_OF_FORM[form],
      digest,
      offset,
      length,
      source.kind === 'published' ? 'p' : source.from,
      ...(platform === undefined ? [] : [encodePlatform(platform)]),
    ]),
    m: record.missing.map(({ form, reason, platform }) => [
      CODE_OF_FORM[form],
      reason,
      ...(platform === undefined ? [] : [encodePlatform(platform)]),
    ]),
    ...(packed.length > 0 && { z: packed }),
    ...(nonstandard.length > 0 && { n: nonstandard }),
    // S3 sends metadata as HTTP headers, so characters other than printable ASCII are escaped.
  }).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (index.length <= INDEX_METADATA_MAX) return { body: concat(manifests), metadata: { [INDEX_METADATA]: index } };
  return {
    body: concat([new TextEncoder().encode(index), ...manifests]),
    metadata: { [INDEX_METADATA]: JSON.stringify({ v: RECORD_VERSION, h: index.length }) },
  };
}

/** The index in a tag object's metadata: the record itself, or the length of the index at the head of the body. */
export type TagIndex =
  | { readonly kind: 'record'; readonly record: TagRecord; readonly bodyOffset: 0 }
  | { readonly kind: 'in-body'; readonly length: number };

/** Reads a tag object's metadata. Throws {@link CorruptRecordError}, and NewerVersionError for a later version. */
export function decodeTagMetadata(metadata: Readonly<Record<string, string>>): TagIndex {
  const text = metadata[INDEX_METADATA];
  if (text === undefined) throw new CorruptRecordError('the tag object has no index');
  const value = parseIndex(text);
  if (typeof value.h === 'number') {
    if (!Number.isSafeInteger(value.h) || value.h <= 0)
      throw new CorruptRecordError('the length of the index in the body is not a number of bytes');
    return { kind: 'in-body', length: value.h };
  }
  return { kind: 'record', record: toRecord(value), bodyOffset: 0 };
}

/**
 * Reads the index at the head of a tag object's body: exactly the `length` bytes of {@link decodeTagMetadata}.
 * Throws {@link CorruptRecordError}.
 */
export function decodeTagIndex(head: Uint8Array): TagRecord {
  return toRecord(parseIndex(new TextDecoder().decode(head)));
}

interface RawIndex {
  readonly h?: unknown;
  readonly t?: unknown;
  readonly f?: unknown;
  readonly m?: unknown;
  readonly z?: unknown;
  readonly n?: unknown;
}

function parseIndex(text: string): RawIndex {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CorruptRecordError('the tag index is not JSON', { cause });
  }
  if (typeof value !== 'object' || value === null) throw new CorruptRecordError('the tag index is not an object');
  const { v } = value as { v?: unknown };
  refuseNewer('the tag index', v, RECORD_VERSION);
  if (v !== RECORD_VERSION)
    throw new CorruptRecordError(
      `the tag index has version ${String(v)}; this program reads ${String(RECORD_VERSION)}`,
    );
  return value;
}

function toRecord({ t, f, m, z, n }: RawIndex): TagRecord {
  if (typeof t !== 'string' || !Array.isArray(f) || !Array.isArray(m))
    throw new CorruptRecordError('the tag index lacks a member');
  const packed: ReadonlySet<unknown> = new Set(Array.isArray(z) ? z : []);
  const nonstandard: ReadonlyMap<unknown, readonly NonstandardLayers[]> = new Map(
    Array.isArray(n) ? n.flatMap(toNonstandard) : [],
  );
  const forms = f.map((row, at): TagForm => {
    const kinds = nonstandard.get(at);
    return {
      ...toForm(row),
      ...(packed.has(at) ? { zstd: true } : {}),
      ...(kinds === undefined ? {} : { nonstandard: kinds }),
    };
  });
  return { updated: t, forms, missing: m.map(toMissing) };
}

/** A row of the mark; none where it says nothing that is known. */
function toNonstandard(row: unknown): [at: unknown, kinds: readonly NonstandardLayers[]][] {
  const [at, codes] = Array.isArray(row) ? (row as unknown[]) : [];
  const kinds = (Object.keys(NONSTANDARD_CODES) as NonstandardLayers[]).filter(
    (kind) => typeof codes === 'string' && codes.includes(NONSTANDARD_CODES[kind]),
  );
  return kinds.length > 0 ? [[at, kinds]] : [];
}

function toForm(row: unknown): TagForm {
  if (!Array.isArray(row)) throw new CorruptRecordError('a form of the tag index is not a row');
  const [code, digestText, offset, length, from, platform] = row as unknown[];
  const form = formOfCode(code);
  const digest = typeof digestText === 'string' ? parseDigest(digestText) : null;
  const origin = typeof from === 'string' && from !== 'p' ? parseDigest(from) : null;
  if (digest === null || !isCount(offset) || !isCount(length) || (from !== 'p' && origin === null)) {
    throw new CorruptRecordError('a form of the tag index has a bad value');
  }
  return {
    form,
    mediaType: MEDIA_TYPE_OF_FORM[form],
    digest,
    offset,
    length,
    source: origin === null ? { kind: 'published' } : { kind: 'derived', from: origin },
    ...(platform === undefined ? {} : { platform: decodePlatform(platform) }),
  };
}

function toMissing(row: unknown): MissingForm {
  if (!Array.isArray(row)) throw new CorruptRecordError('a missing form of the tag index is not a row');
  const [code, reason, platform] = row as unknown[];
  // A newer publisher may write reasons that this Worker does not have yet.
  return {
    form: formOfCode(code),
    reason: typeof reason === 'string' && isReason(reason) ? reason : 'form-not-published',
    ...(platform === undefined ? {} : { platform: decodePlatform(platform) }),
  };
}

function formOfCode(code: unknown): Form {
  if (typeof code !== 'string' || !Object.hasOwn(FORM_CODES, code))
    throw new CorruptRecordError(`the tag index names an unknown form ${JSON.stringify(code)}`);
  return FORM_CODES[code as keyof typeof FORM_CODES];
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

// Text if it parses to the same platform; otherwise the object.
function encodePlatform(platform: Platform): string | Platform {
  const text = formatPlatform(platform);
  const back = parsePlatform(text);
  const plain =
    platform['os.features'] === undefined && back?.os === platform.os && back.architecture === platform.architecture;
  return plain && back.variant === platform.variant && back['os.version'] === platform['os.version'] ? text : platform;
}

function decodePlatform(value: unknown): Platform {
  if (typeof value === 'string') {
    const platform = parsePlatform(value);
    if (platform !== null) return platform;
  } else if (typeof value === 'object' && value !== null) {
    const { os, architecture } = value as Partial<Platform>;
    if (typeof os === 'string' && typeof architecture === 'string') return value as Platform;
  }
  throw new CorruptRecordError('a platform of the tag index has a bad value');
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
