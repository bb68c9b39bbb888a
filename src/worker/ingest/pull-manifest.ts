/** Manifests by digest of a filled repository. */
import { protocolErrors, toSource } from '../../bucket/origin-image.ts';
import { verifiedManifest } from '../../bucket/read-image.ts';
import { writeManifest } from '../../bucket/write-image.ts';
import type { RegistryClient } from '../../origin/registry-client.ts';
import { OriginError } from '../../origin/errors.ts';
import type { Digest } from '../../registry/digest.ts';
import { manifestKey } from '../../registry/keys.ts';
import { formOfMediaType } from '../../registry/media-type.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { StorageError, type WriteStore } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import type { Answer } from '../gateway/answer.ts';
import { isUnknown, type StoredAnswer } from './stored-answer.ts';
import { withRetries } from '../../bucket/retry.ts';
import { FILL_LIMITS, fillOnce } from './fill-limits.ts';
import { type ObjectAtHand, overlay } from './overlay.ts';
import { isNegativelyCached, cacheAbsence, type Pull } from './pull.ts';

/** Answers with the manifest. `stored`: the answer from storage. Throws OriginError and StorageError. */
export async function pullManifest(
  pull: Pull,
  name: RepositoryName,
  digest: Digest,
  { answer }: StoredAnswer,
): Promise<Answer> {
  const { upstream, remote, answerStored, store, retry } = pull;
  const key = manifestKey(name, digest);
  if (!isUnknown(answer) || isNegativelyCached(upstream, key)) return answer;
  const found = await fillOnce(pull, upstream.manifests, FILL_LIMITS.manifest, key, (client) =>
    ingestManifest(client, withRetries(store, retry), { name, remote, digest }),
  );
  if (found !== 'unknown') return answerStored((store) => overlay(store, found));
  cacheAbsence(upstream, key);
  return answer;
}

/**
 * Fetches and stores a manifest. `'unknown'`: the upstream does not have it. If storage does not accept it, it is
 * served nevertheless. Throws {@link OriginError}.
 */
export async function ingestManifest(
  client: RegistryClient,
  store: WriteStore,
  { name, remote, digest }: { readonly name: RepositoryName; readonly remote: RepositoryName; readonly digest: Digest },
): Promise<ObjectAtHand | 'unknown'> {
  const found = await client.manifest(remote, { kind: 'digest', digest });
  if (found.kind === 'not-found') return 'unknown';
  const { mediaType, bytes } = found;
  // Manifests of artifacts may have other forms than those of images.
  const isForm =
    mediaType === undefined || formOfMediaType(mediaType) !== null || !mediaType.startsWith('application/vnd.');
  const manifest = isForm
    ? await protocolErrors(client, () => verifiedManifest(toSource(found), found.digest))
    : { mediaType, bytes, digest, form: null };
  const key = manifestKey(name, digest);
  if (manifest.form === 'docker-schema1' && manifest.digest !== digest) {
    throw new OriginError(
      'ORIGIN_PROTOCOL',
      `${client.baseUrl.host} names the schema 1 manifest ${digest} by the digest of its signed bytes, but clients use that of the payload`,
    );
  }
  try {
    await writeManifest(store, name, { ...manifest, digest, source: { kind: 'published' } });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    logFailure('manifest-not-stored', { name, digest }, error);
  }
  return { key, bytes, contentType: manifest.mediaType, metadata: {} };
}
