/** Manifests by digest of a repository that is filled. */
import type { Digest } from '../../registry/digest.ts';
import { manifestKey } from '../../registry/keys.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { Answer } from '../gateway/answer.ts';
import { isUnknown, type StoredAnswer } from './stored-answer.ts';
import { withRetries } from '../../bucket/retry.ts';
import { ingestManifest } from './ingest-manifest.ts';
import { overlay } from './overlay.ts';
import { isNegativelyCached, cacheAbsence, type Pull, unlessLimited, waitFor } from './pull.ts';

/** Answers with the manifest. `stored`: what storage answered. Throws OriginError and StorageError. */
export async function pullManifest(
  pull: Pull,
  name: RepositoryName,
  digest: Digest,
  { answer }: StoredAnswer,
): Promise<Answer> {
  const { upstream, remote, answerStored, store, retry, waitUntil } = pull;
  const key = manifestKey(name, digest);
  if (!isUnknown(answer) || isNegativelyCached(upstream, key)) return answer;
  unlessLimited(upstream);
  const flight = upstream.manifests.once(key, waitUntil, () =>
    ingestManifest(upstream.client, withRetries(store, retry), { name, remote, digest }),
  );
  const found = await waitFor(pull, upstream.manifests, key, flight);
  if (found !== 'unknown') return answerStored((store) => overlay(store, found));
  cacheAbsence(upstream, key);
  return answer;
}
