/** Writes what a tag object names: manifests by digest, and small blobs. */
import type { DerivedManifest } from '../manifest/image.ts';
import { algorithmOf, type Digest, hexOf } from '../registry/digest.ts';
import { blobKey, manifestKey } from '../registry/keys.ts';
import { MEDIA_TYPES } from '../registry/media-type.ts';
import type { RepositoryName } from '../registry/name.ts';
import type { RealmName } from '../registry/realms.ts';
import type { WriteStore } from '../registry/store.ts';

/** Writes a manifest under its digest. A derived schema 1 does not replace a stored one: that may have another signature, and be published. Throws StorageError. */
export async function writeManifest(
  store: WriteStore,
  name: RepositoryName,
  {
    digest,
    mediaType,
    bytes,
    form,
    source,
  }: Pick<DerivedManifest, 'digest' | 'mediaType' | 'bytes' | 'source'> & {
    /** Null for a manifest of an unknown kind. */
    readonly form: DerivedManifest['form'] | null;
  },
  signal?: AbortSignal,
): Promise<void> {
  // The digest of a schema 1 manifest is of its payload, not of its bytes.
  const isSchema1 = form === 'docker-schema1';
  await store.put(manifestKey(name, digest), bytes, {
    contentType: mediaType,
    ...(isSchema1 ? {} : sha256Option(digest)),
    ...(isSchema1 && source.kind === 'derived' && { onlyIf: 'absent' }),
    ...(signal !== undefined && { signal }),
  });
}

/** Writes a blob whose bytes are in memory. Throws StorageError. */
export async function writeBlob(
  store: WriteStore,
  realm: RealmName,
  { digest, bytes }: { readonly digest: Digest; readonly bytes: Uint8Array },
): Promise<void> {
  await store.put(blobKey(realm, digest), bytes, { contentType: MEDIA_TYPES.octetStream, ...sha256Option(digest) });
}

/** The hash that storage checks, where the digest has it. */
export function sha256Option(digest: Digest): { readonly sha256?: string } {
  return algorithmOf(digest) === 'sha256' ? { sha256: hexOf(digest) } : {};
}
