/** A manifest that is asked for by digest, from the upstream to the bucket. */
import { protocolErrors, toSource } from '../../bucket/origin-image.ts';
import { verifiedManifest } from '../../bucket/read-image.ts';
import { writeManifest } from '../../bucket/write-image.ts';
import { OriginError } from '../../origin/errors.ts';
import type { RegistryClient } from '../../origin/client.ts';
import type { Digest } from '../../registry/digest.ts';
import { manifestKey } from '../../registry/keys.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { formOfMediaType } from '../../registry/media-type.ts';
import { StorageError, type WriteStore } from '../../registry/store.ts';
import type { ObjectAtHand } from './overlay.ts';

/** A manifest as it now stands in the bucket. */
export type StoredManifest = ObjectAtHand;

/** Fetches and writes one. `'unknown'`: the upstream does not have it. Where storage does not take it, it is answered all the same. Throws {@link OriginError}. */
export async function ingestManifest(
  client: RegistryClient,
  store: WriteStore,
  { name, remote, digest }: { readonly name: RepositoryName; readonly remote: RepositoryName; readonly digest: Digest },
): Promise<StoredManifest | 'unknown'> {
  const found = await client.manifest(remote, { kind: 'digest', digest });
  if (found.kind === 'not-found') return 'unknown';
  const { mediaType, bytes } = found;
  // Artifacts may have manifests of other kinds than images: a digest names them all the same.
  const isForm =
    mediaType === undefined || formOfMediaType(mediaType) !== null || !mediaType.startsWith('application/vnd.');
  const manifest = isForm
    ? await protocolErrors(client, () => verifiedManifest(toSource(found), found.digest))
    : { mediaType, bytes, digest, form: null };
  const key = manifestKey(name, digest);
  if (manifest.form === 'docker-schema1' && manifest.digest !== digest) {
    throw new OriginError(
      'ORIGIN_PROTOCOL',
      `${client.baseUrl.host} knows the schema 1 manifest ${digest} by the digest of its signed bytes, which no client does`,
    );
  }
  try {
    await writeManifest(store, name, { ...manifest, digest, source: { kind: 'published' } });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    console.error(JSON.stringify({ event: 'manifest-not-stored', name, digest, message: error.message }));
  }
  return { key, bytes, contentType: manifest.mediaType, metadata: {} };
}
