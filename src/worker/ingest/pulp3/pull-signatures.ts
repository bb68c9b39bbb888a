/**
 * Atomic signatures of a Pulp 3: fetched when the first client asks for them or with a tag, stored also where there are
 * none, and compared with the upstream after the lifetime of the rule, because a signature may come after the image.
 */
import { readObject } from '../../../bucket/read-object.ts';
import { replaceCondition } from '../../../bucket/write-tag.ts';
import { withRetries } from '../../../bucket/retry.ts';
import type { ImageContent } from '../../../manifest/image.ts';
import type { RemoteSignatures } from '../../../origin/registry-client.ts';
import { type NotFound, OriginError } from '../../../origin/errors.ts';
import { type AtomicSignature, encodeSignatures } from '../../../origin/signatures.ts';
import type { Digest } from '../../../registry/digest.ts';
import { manifestKey, signaturesKey } from '../../../registry/keys.ts';
import { isListForm, MEDIA_TYPES } from '../../../registry/media-type.ts';
import type { RepositoryName } from '../../../registry/name.ts';
import { decodeOriginMark, encodeOriginMark } from '../../../registry/origin-mark.ts';
import { type ObjectInfo, StorageError, type WriteStore } from '../../../registry/store.ts';
import { logFailure } from '../../log/event.ts';
import type { Answer } from '../../gateway/answer.ts';
import type { RegistryRequest } from '../../gateway/registry-request.ts';
import { FILL_LIMITS, FillLimitError, fillWithin, inSlot, permitFill } from '../fill-limits.ts';
import { freshnessOf } from '../freshness.ts';
import { type ObjectAtHand, overlay } from '../overlay.ts';
import { cacheAbsence, isNegativelyCached, noteOutage, type Pull, unlessLimited, waitFor } from '../pull.ts';
import { within } from '../single-flight.ts';
import { type StoredAnswer, withWarning } from '../stored-answer.ts';
import type { Outage } from '../upstream.ts';

/** Milliseconds that a client waits for a comparison; then the stored signatures are served. */
const PATIENCE = 3_000;

/** Milliseconds until a failed comparison is repeated. */
const PAUSE = 10_000;

/** Milliseconds after which the time of a comparison is written to the bucket. */
const RENEW_AFTER = 3_600_000;

/** Manifests of a list whose signatures are fetched with the tag: a Worker may make so many requests. */
const PREFETCHED = 12;

type SignaturesRequest = Extract<RegistryRequest, { kind: 'signatures' }>;

/** Answers with the signatures. `stored`: the answer from storage. Throws {@link OriginError} and StorageError. */
export async function pullSignatures(
  pull: Pull,
  { name, subject }: SignaturesRequest,
  { answer, info }: StoredAnswer,
): Promise<Answer> {
  const { upstream, rule, answerStored, waitUntil } = pull;
  const key = signaturesKey(name, subject);
  if (info === null) {
    if (isNegativelyCached(upstream, key)) return answer;
    unlessLimited(upstream);
    if (upstream.signatures.of(key) === undefined) await permitFill(pull, key);
    const flight = upstream.signatures.once(key, waitUntil, () => fetchSignatures(pull, name, subject));
    const fetched = await waitFor(pull, upstream.signatures, key, flight);
    if (fetched !== 'unknown') return answerStored((store) => overlay(store, fetched));
    cacheAbsence(upstream, key);
    return answer;
  }
  const now = Date.now();
  const known = upstream.outages.get(key, now) ?? upstream.limited.get('', now);
  if (known !== undefined) return withWarning(answer, rule, known);
  const freshness = freshnessOf(decodeOriginMark(info.metadata), upstream.checked.get(key, now), rule, now);
  const checking = upstream.checks.once(key, waitUntil, () => compare(pull, name, subject, info));
  if (freshness === 'stale') return answer;
  const outage = await within(PATIENCE, checking, SLOW);
  return outage === null ? answerStored() : withWarning(answer, rule, outage);
}

const SLOW: Outage = { code: 'ORIGIN_UNAVAILABLE', message: 'no answer in time' };

/**
 * Fetches the signatures of a tag's images behind the client's back, so that clients that verify them can pull while
 * the upstream is down. Those of a list itself are fetched on request: only copies of whole lists ask for them.
 */
export function prefetchSignatures(
  pull: Pull,
  name: RepositoryName,
  { roots, children }: Pick<ImageContent, 'roots' | 'children'>,
): void {
  const images = [...roots, ...children.values()].filter(({ form }) => !isListForm(form)).slice(0, PREFETCHED);
  // One after the other: they wait for slots that clients need, too.
  const prefetch = async (): Promise<void> => {
    for (const { digest } of images) {
      const key = signaturesKey(name, digest);
      try {
        await pull.upstream.signatures.once(key, pull.waitUntil, () => fetchSignatures(pull, name, digest));
      } catch (error) {
        if (!(error instanceof OriginError) && !(error instanceof StorageError) && !(error instanceof FillLimitError))
          throw error;
        logFailure('signatures-not-fetched', { name, digest }, error);
        if (error instanceof FillLimitError) return;
      }
    }
  };
  pull.waitUntil(prefetch());
}

function readUpstream(pull: Pull, subject: Digest, key: string): Promise<RemoteSignatures | NotFound> {
  return inSlot('documents', () =>
    fillWithin(pull, FILL_LIMITS.signatures, key, (client) => client.signatures(pull.remote, subject)),
  );
}

/**
 * Fetches and stores the signatures, where none are stored. `'unknown'`: neither the upstream nor storage has the
 * manifest. If storage does not accept the record, it is served nevertheless.
 */
async function fetchSignatures(pull: Pull, name: RepositoryName, subject: Digest): Promise<ObjectAtHand | 'unknown'> {
  const { upstream, rule } = pull;
  const store = withRetries(pull.store, pull.retry);
  const found = await readUpstream(pull, subject, signaturesKey(name, subject));
  // A derived manifest is unknown to the upstream, and has no signature.
  if (found.kind === 'not-found' && (await store.head(manifestKey(name, subject))) === null) return 'unknown';
  const now = Date.now();
  const object = recordOf(pull, name, subject, found.kind === 'not-found' ? [] : found.signatures, now);
  try {
    await write(store, object, null);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    logFailure('signatures-not-stored', { name, digest: subject }, error);
  }
  upstream.checked.set(object.key, now, now + rule.lifetime);
  return object;
}

function recordOf(
  { rule }: Pull,
  name: RepositoryName,
  subject: Digest,
  signatures: readonly AtomicSignature[],
  now: number,
): ObjectAtHand {
  return {
    key: signaturesKey(name, subject),
    bytes: encodeSignatures(signatures),
    contentType: MEDIA_TYPES.json,
    metadata: encodeOriginMark({ origin: rule.name, digest: subject, checked: now, gone: null }),
  };
}

async function write(
  store: WriteStore,
  { key, bytes, contentType, metadata }: ObjectAtHand,
  over: ObjectInfo | null,
): Promise<void> {
  await store.put(key, bytes, { contentType, metadata, onlyIf: replaceCondition(over) });
}

/**
 * Replaces the stored signatures by those of the upstream, if they differ or their time of comparison is old. Those of
 * a manifest that the upstream no longer has stay. Gives why the upstream failed, null if it did not.
 */
async function compare(pull: Pull, name: RepositoryName, subject: Digest, info: ObjectInfo): Promise<Outage | null> {
  const { upstream, rule } = pull;
  const { key } = info;
  const now = Date.now();
  try {
    const store = withRetries(pull.store, pull.retry);
    const found = await readUpstream(pull, subject, key);
    if (found.kind === 'signatures') {
      const object = recordOf(pull, name, subject, found.signatures, now);
      const stored = await readObject(store, key);
      const isOld = now - (decodeOriginMark(info.metadata)?.checked ?? 0) >= Math.max(rule.lifetime, RENEW_AFTER);
      if (stored === null || isOld || !sameBytes(stored.bytes, object.bytes)) await write(store, object, info);
    }
    upstream.checked.set(key, now, now + rule.lifetime);
    upstream.outages.delete(key);
    return null;
  } catch (error) {
    if (!(error instanceof OriginError) && !(error instanceof StorageError) && !(error instanceof FillLimitError))
      throw error;
    const failure =
      error instanceof OriginError ? error : new OriginError('ORIGIN_UNAVAILABLE', error.message, { cause: error });
    const outage = noteOutage(upstream, failure, `${name}@${subject} signatures`);
    upstream.outages.set(key, outage, now + Math.min(PAUSE, rule.lifetime));
    return outage;
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
