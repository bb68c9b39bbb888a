/** Manifests by digest of a filled repository. */
import type { Digest } from '../../registry/digest.ts';
import { manifestKey } from '../../registry/keys.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { Answer } from '../gateway/answer.ts';
import { isUnknown, type StoredAnswer } from './stored-answer.ts';
import { withRetries } from '../../bucket/retry.ts';
import { FILL_LIMITS, fillWithin, inSlot, permitFill } from './fill-limits.ts';
import { ingestManifest } from './ingest-manifest.ts';
import { overlay } from './overlay.ts';
import { isNegativelyCached, cacheAbsence, type Pull, unlessLimited, waitFor } from './pull.ts';

/** Answers with the manifest. `stored`: the answer from storage. Throws OriginError and StorageError. */
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
  if (upstream.manifests.of(key) === undefined) await permitFill(pull, key);
  const flight = upstream.manifests.once(key, waitUntil, () =>
    inSlot('documents', () =>
      fillWithin(pull, FILL_LIMITS.manifest, key, (client) =>
        ingestManifest(client, withRetries(store, retry), { name, remote, digest }),
      ),
    ),
  );
  const found = await waitFor(pull, upstream.manifests, key, flight);
  if (found !== 'unknown') return answerStored((store) => overlay(store, found));
  cacheAbsence(upstream, key);
  return answer;
}
