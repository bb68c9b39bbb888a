/** Fills a bucket as a publisher does: records are made by the code that both programs share, manifests by hand. */
import { type Digest, parseDigest } from '../../src/registry/digest.ts';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { blobKey, CATALOG_KEY, manifestKey, referrersKey, tagKey, tagListKey } from '../../src/registry/keys.ts';
import { type Form, MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../src/registry/name.ts';
import type { Platform } from '../../src/registry/platform.ts';
import { encodeTag, type MissingForm, type TagForm } from '../../src/registry/records.ts';
import { encodeReferrers } from '../../src/registry/referrers.ts';
import { PUBLIC_REALM, type RealmName } from '../../src/registry/realms.ts';
import { encodeSortedList } from '../../src/registry/sorted-list.ts';

export const UPDATED = '2026-01-02T03:04:05Z';

export function nameOf(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(`no name: ${text}`);
  return name;
}

export function tagOf(text: string): Tag {
  const tag = parseTag(text);
  if (tag === null) throw new Error(`no tag: ${text}`);
  return tag;
}

export function digestOf(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === null) throw new Error(`no digest: ${text}`);
  return digest;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export async function hash(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Promise<Digest> {
  const sum = new Uint8Array(await crypto.subtle.digest(algorithm === 'sha256' ? 'SHA-256' : 'SHA-512', bytes));
  return digestOf(`${algorithm}:${Array.from(sum, (byte) => byte.toString(16).padStart(2, '0')).join('')}`);
}

/** A manifest of a tag, as it is seeded. */
export interface SeededForm {
  readonly form: Form;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly derived?: boolean;
  readonly platform?: Platform;
  readonly zstd?: true;
}

/** A manifest that says what it is; `salt` makes it another one. */
export async function manifest(
  form: Form,
  salt: string,
  more: Omit<SeededForm, 'form' | 'bytes' | 'digest'> = {},
): Promise<SeededForm> {
  const bytes = bytesOf(
    JSON.stringify({ schemaVersion: form === 'docker-schema1' ? 1 : 2, mediaType: MEDIA_TYPE_OF_FORM[form], salt }),
  );
  return { form, bytes, digest: await hash(bytes), ...more };
}

/** Writes a tag object and its manifests. */
export async function seedTag(
  bucket: R2Bucket,
  name: string,
  tag: string,
  forms: readonly SeededForm[],
  missing: readonly MissingForm[] = [],
): Promise<void> {
  let offset = 0;
  const [root] = forms;
  const rows = forms.map(({ form, bytes, digest, derived, platform, zstd }): TagForm => {
    const row: TagForm = {
      form,
      mediaType: MEDIA_TYPE_OF_FORM[form],
      digest,
      offset,
      length: bytes.length,
      source: derived === true && root !== undefined ? { kind: 'derived', from: root.digest } : { kind: 'published' },
      ...(platform && { platform }),
      ...(zstd && { zstd }),
    };
    offset += bytes.length;
    return row;
  });
  const { body, metadata } = encodeTag(
    { updated: UPDATED, forms: rows, missing },
    forms.map(({ bytes }) => bytes),
  );
  for (const form of forms) await seedManifest(bucket, name, form);
  await bucket.put(tagKey(nameOf(name), tagOf(tag)), body, {
    customMetadata: metadata,
    httpMetadata: { contentType: 'application/octet-stream' },
  });
}

/** Writes a manifest under its digest. */
export async function seedManifest(bucket: R2Bucket, name: string, { form, bytes, digest }: SeededForm): Promise<void> {
  await bucket.put(manifestKey(nameOf(name), digest), bytes, {
    httpMetadata: { contentType: MEDIA_TYPE_OF_FORM[form] },
  });
}

/** Writes a tag list; entries are tags, or tags with what pages show. */
export async function seedTagList(
  bucket: R2Bucket,
  name: string,
  tags: readonly (string | { readonly name: string; readonly detail: unknown })[],
): Promise<void> {
  await putList(bucket, tagListKey(nameOf(name)), tags);
}

/** Writes the catalogue. */
export async function seedCatalog(bucket: R2Bucket, names: readonly string[]): Promise<void> {
  await putList(bucket, CATALOG_KEY, names);
}

async function putList(
  bucket: R2Bucket,
  key: string,
  entries: readonly (string | { readonly name: string; readonly detail: unknown })[],
): Promise<void> {
  const { body, metadata } = encodeSortedList(
    entries.map((entry) => (typeof entry === 'string' ? { name: entry, detail: null } : entry)),
  );
  await bucket.put(key, body, { customMetadata: metadata, httpMetadata: { contentType: 'application/json' } });
}

/** Writes a blob into a realm. */
export async function seedBlob(
  bucket: R2Bucket,
  bytes: Uint8Array,
  realm: RealmName = PUBLIC_REALM,
  algorithm: 'sha256' | 'sha512' = 'sha256',
): Promise<Digest> {
  const digest = await hash(bytes, algorithm);
  await bucket.put(blobKey(realm, digest), bytes, { httpMetadata: { contentType: 'application/octet-stream' } });
  return digest;
}

/** Writes what refers to a manifest. */
export async function seedReferrers(
  bucket: R2Bucket,
  name: string,
  subject: Digest,
  referrers: readonly Descriptor[],
): Promise<void> {
  await bucket.put(referrersKey(nameOf(name), subject), encodeReferrers(referrers), {
    httpMetadata: { contentType: MEDIA_TYPE_OF_FORM['oci-index'] },
  });
}
