/**
 * The tag object: what the publisher writes and the Worker reads, one object a tag.
 *
 * Body: the manifests of all forms back to back. Index: JSON in the custom metadata {@link INDEX_METADATA}; if that would be longer than
 * {@link INDEX_METADATA_MAX} bytes (R2 keeps 8,192 bytes of metadata an object), the index is the head of the body and the metadata says only how long it is.
 * So any form costs one read, the headers of any form cost one head, and one PUT moves the tag in all its forms at once.
 *
 * The index, compact: `{"v":1,"t":"<updated>","f":[[form, digest, offset, length, source, platform?]…],"m":[[form, reason, platform?]…]}` where `source` is
 * `"p"` (published) or the digest it was derived from, and offsets count from the end of the index where that is in the body. Two marks stand apart, so that a
 * program that does not know them passes over them; each names forms by their places in `f`. `"z":[n…]`: forms with layers packed with zstd. `"n":[[n, codes]…]`:
 * forms with layer types that their specification does not have, `z` for Docker's zstd and `o` for OCI types in a Docker manifest.
 */
import { type Digest, parseDigest } from './digest.ts';
import { isReason, type Reason } from './errors.ts';
import { type Form, MEDIA_TYPE_OF_FORM, type NonstandardLayers } from './media-type.ts';
import { formatPlatform, parsePlatform, type Platform } from './platform.ts';

/** The version of the record format that this code writes, and the only one it reads. */
export const RECORD_VERSION = 1;

/** Name of the custom metadata that carries the index. */
export const INDEX_METADATA = 'gantry-tag';

/** Longest index, in bytes, that is kept in the metadata. */
export const INDEX_METADATA_MAX = 7_680;

/** One manifest of a tag. */
export interface TagForm {
  readonly form: Form;
  readonly mediaType: string;
  /** What clients know it by: of the bytes, or of the payload for schema 1. */
  readonly digest: Digest;
  /** Where its bytes begin in {@link TagRecord}'s manifests, and how many they are. */
  readonly offset: number;
  readonly length: number;
  /** Exactly as someone gave it to us, or made by us from the manifest with that digest. */
  readonly source: { readonly kind: 'published' } | { readonly kind: 'derived'; readonly from: Digest };
  /** Set on a manifest that serves one platform of a list; unset on the list, and on all forms of a single image. */
  readonly platform?: Platform;
  /** Set where a layer of it, or of an image that it lists, is packed with zstd. Records from before the mark lack it. */
  readonly zstd?: true;
  /** Set where a layer type of it, or of an image that it lists, is not in its specification: some libraries refuse it. */
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
  /** In the order in which they are preferred among equals: published roots first. */
  readonly forms: readonly TagForm[];
  readonly missing: readonly MissingForm[];
}

/** The digests of what was published under a tag. What serves one platform is a child of the list that was published: a tag that moved from the list to it did move. */
export function publishedDigests({ forms }: TagRecord): readonly Digest[] {
  const roots = forms.filter(
    ({ source, platform, form }) =>
      source.kind === 'published' && (platform === undefined || form === 'docker-schema1'),
  );
  return roots.map(({ digest }) => digest);
}

/** A tag object that cannot be read. The object is damaged or of a newer version; other tags are not touched by it. */
export class CorruptRecordError extends Error {
  override readonly name = 'CorruptRecordError';
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

/** Makes a tag object from a record and the bytes of its manifests, given in the record's order and without gaps. */
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
    // Metadata travels as HTTP headers on S3: everything beyond printable ASCII is escaped.
  }).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (index.length <= INDEX_METADATA_MAX) return { body: concat(manifests), metadata: { [INDEX_METADATA]: index } };
  return {
    body: concat([new TextEncoder().encode(index), ...manifests]),
    metadata: { [INDEX_METADATA]: JSON.stringify({ v: RECORD_VERSION, h: index.length }) },
  };
}

/** What a tag object's metadata says: the record itself, or how many bytes at the head of the body hold it. */
export type TagIndex =
  | { readonly kind: 'record'; readonly record: TagRecord; readonly bodyOffset: 0 }
  | { readonly kind: 'in-body'; readonly length: number };

/** Reads a tag object's metadata. Throws {@link CorruptRecordError}. */
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

/** Reads the index from the head of a tag object's body: exactly the `length` bytes that {@link decodeTagMetadata} told. Throws {@link CorruptRecordError}. */
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
  // A reason that a newer publisher knows and this Worker does not must not break the tag.
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

// `os/arch[/variant]` where that says everything and reads back the same; else the object itself.
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
