/**
 * `/extensions/v2/<name>/signatures/<digest>`: the signature extension of containers/image (see
 * `origin/signatures.ts`).
 */
import { readAll } from '../../../bucket/read-object.ts';
import { manifestKey, signaturesKey } from '../../../registry/keys.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { type Answer, foundJson, refused } from '../../gateway/answer.ts';
import type { RegistryRequest } from '../../gateway/registry-request.ts';
import { refuseUnknown } from './known-repository.ts';

// The code that encodes signatures is loaded with that for upstreams.
const NONE = new TextEncoder().encode('{"signatures":[]}');

/** Answers with the signatures of a manifest: none if it is stored without any. */
export async function answerSignatures(
  { name, subject }: Extract<RegistryRequest, { kind: 'signatures' }>,
  store: ReadStore,
): Promise<Answer> {
  const object = await store.get(signaturesKey(name, subject));
  const stored = object === null || object === 'changed' ? null : object;
  if (stored === null && (await store.head(manifestKey(name, subject))) === null) {
    const message = `The repository ${name} has no manifest ${subject}.`;
    return refuseUnknown(store, name, refused('manifest-unknown', { message, detail: { name, digest: subject } }));
  }
  const body = stored === null ? NONE : await readAll(stored.body, stored.size);
  return foundJson(body);
}
