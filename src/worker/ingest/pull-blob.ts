/**
 * Blobs of a filled repository: streamed to the client and into the bucket at once, and fetched once for all waiting
 * requests.
 */
import { openBlob } from '../../origin/blob.ts';
import { OriginError } from '../../origin/errors.ts';
import type { Digest } from '../../registry/digest.ts';
import { blobKey } from '../../registry/keys.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { StorageError } from '../../registry/store.ts';
import type { RegistryClient } from '../../origin/registry-client.ts';
import type { Answer, Found, Redirect } from '../gateway/answer.ts';
import type { RegistryRequest, RequestOptions } from '../gateway/registry-request.ts';
import { isUnknown, type StoredAnswer } from './stored-answer.ts';
import { type BlobOutcome, clientSink, fillBlob, WHOLE_UP_TO } from './fill-blob.ts';
import { blobLimits, FILL_LIMITS, fillWithin, inSlot, permitFill } from './fill-limits.ts';
import type { Slot } from './fill-slots.ts';
import { within } from './single-flight.ts';
import { isNegativelyCached, cacheAbsence, type Pull, unlessLimited } from './pull.ts';
import type { OriginRule } from './origins.ts';
import type { Upstream } from './upstream.ts';

type BlobRequest = Extract<RegistryRequest, { kind: 'blob' | 'blob-presence' }>;

/** How often a request that waited for another one's fetch tries again after that failed. */
const ROUNDS = 3;

/** Answers with the blob or a redirect. `stored`: the answer from storage. Throws OriginError and StorageError. */
export async function pullBlob(
  pull: Pull,
  request: BlobRequest,
  { head, streamed }: RequestOptions,
  { answer }: StoredAnswer,
): Promise<Answer | Redirect> {
  const { upstream, rule, remote, realm, answerStored } = pull;
  const { digest } = request;
  const key = blobKey(realm, digest);
  const what = `${remote} ${digest}`;
  if (!isUnknown(answer) || isNegativelyCached(upstream, what)) return answer;
  unlessLimited(upstream);
  if (request.kind === 'blob' && head) {
    await permitFill(pull, what);
    const info = await fillWithin(pull, FILL_LIMITS.presence, `${what} HEAD`, (client) =>
      client.blobHead(remote, digest),
    );
    if (info.kind === 'blob-head' && info.size !== undefined) return claimed(found(request, info.size, null));
    // Old engines need the length: if HEAD does not contain it, GET does.
    if (info.kind === 'not-found') {
      cacheAbsence(upstream, what);
      return answer;
    }
  } else if (request.kind === 'blob' && rule.blobs === 'redirect' && streamed !== true) {
    await permitFill(pull, what);
    const location = await fillWithin(pull, FILL_LIMITS.presence, `${what} HEAD`, (client) =>
      locationUpstream(client, pull, request),
    );
    if (location !== null) return { kind: 'redirect', location };
  }
  const outcome = await fetchOrFollow(pull, request, key, request.kind === 'blob' && !head);
  if (typeof outcome === 'object') return outcome;
  if (outcome === 'stored') return answerStored();
  cacheAbsence(upstream, what);
  return answer;
}

/**
 * Fetches a blob into the bucket, for no client. `'unknown'`: the upstream does not have it. Throws OriginError and
 * StorageError.
 */
export async function storeBlob(pull: Pull, name: RepositoryName, digest: Digest): Promise<'stored' | 'unknown'> {
  const outcome = await fetchOrFollow(
    pull,
    { kind: 'blob-presence', name, digest },
    blobKey(pull.realm, digest),
    false,
  );
  return typeof outcome === 'object' ? 'stored' : outcome;
}

/** Fetches a blob, or waits for the request that does. Gives an answer where the bytes are streamed to this client. */
async function fetchOrFollow(
  pull: Pull,
  request: BlobRequest,
  key: string,
  isStreamed: boolean,
): Promise<'stored' | 'unknown' | Answer> {
  for (let round = 1; ; round++) {
    const underway = pull.upstream.blobs.of(key);
    if (underway === undefined) await permitFill(pull, key);
    const outcome =
      underway === undefined ? await fetchBlob(pull, request, key, isStreamed) : await follow(pull, key, underway);
    switch (outcome) {
      case 'stored':
      case 'unknown':
        return outcome;
      case 'passed-on':
        // Another client received it, and storage did not: fetch it again for this client.
        if (round < ROUNDS) continue;
        throw new StorageError('STORAGE_UNAVAILABLE', `storage did not accept ${request.digest}`);
      default:
        if (typeof outcome === 'object' && outcome !== null && 'kind' in outcome) return outcome as Answer;
        if (round >= ROUNDS) throw outcome;
    }
  }
}

/**
 * Milliseconds without a byte after which another request's fetch counts as dead: the platform can end a request
 * without notice.
 */
const SILENCE = 30_000;

/** The result of another request's fetch, however long it takes while bytes arrive; or its failure. */
async function follow({ upstream, rule }: Pull, key: string, flight: Promise<BlobOutcome>): Promise<unknown> {
  for (;;) {
    const outcome = await within<BlobOutcome, unknown>(SILENCE, flight, LATE).catch((error: unknown) => error);
    if (outcome !== LATE) return outcome;
    if (upstream.progress.get(key, Date.now()) === true) continue;
    upstream.blobs.end(key, flight);
    return new OriginError('ORIGIN_UNAVAILABLE', `${rule.upstream.host} sent nothing for too long`);
  }
}

const LATE = Symbol('late');

/**
 * Fetches the blob into the bucket and, if it can be streamed, gives the answer with it as the body. Throws
 * OriginError.
 */
async function fetchBlob(
  pull: Pull,
  request: BlobRequest,
  key: string,
  isStreamed: boolean,
): Promise<BlobOutcome | Answer> {
  const { upstream, rule, remote, bucket, waitUntil, urgency } = pull;
  const { digest } = request;
  let answerWith: (answer: Answer) => void = () => undefined;
  const streamed = new Promise<Answer>((resolve) => (answerWith = resolve));
  const fill = async (client: RegistryClient, renew: () => void): Promise<BlobOutcome> => {
    const blob = await openBlob(client, remote, digest);
    if (blob.kind === 'not-found') return 'unknown';
    const store = (renew: () => void): Promise<BlobOutcome> => {
      const watched = { size: blob.size, chunks: noting(blob.chunks, upstream.progress, key, renew) };
      // A client needs the length beforehand: without it, the blob is stored first.
      if (!isStreamed || blob.size === undefined)
        return fillBlob(watched, { digest, key, bucket, client: null, keep: waitUntil });
      const { body, sink } = clientSink(blob.size);
      answerWith(found(request, blob.size, body));
      return fillBlob(watched, { digest, key, bucket, client: sink, keep: waitUntil });
    };
    if (blob.size !== undefined && blob.size <= WHOLE_UP_TO) return store(renew);
    const storeParts = (part: Slot): Promise<BlobOutcome> =>
      store(() => {
        renew();
        part.renew();
      });
    return inSlot('parts', storeParts, urgency);
  };
  const flight = upstream.blobs.once(key, waitUntil, () =>
    inSlot(
      'blobs',
      ({ renew }) => fillWithin(pull, blobLimits(rule.largest), key, (client) => fill(client, renew)),
      urgency,
    ),
  );
  return Promise.race([streamed, flight]);
}

async function* noting(
  chunks: AsyncIterable<Uint8Array>,
  progress: Upstream['progress'],
  key: string,
  renew: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    const now = Date.now();
    progress.set(key, true, now + SILENCE);
    renew();
    yield chunk;
  }
}

/** What the upstream claims of a blob. Nobody has verified it, so no cache may keep it for long. */
function claimed(answer: Found): Found {
  return { ...answer, isUnverified: true };
}

function found({ digest }: BlobRequest, size: number, body: ReadableStream<Uint8Array> | null): Found {
  return {
    kind: 'found',
    representation: {
      contentType: MEDIA_TYPES.octetStream,
      length: size,
      digest,
      etag: `"${digest}"`,
      ranges: { size },
    },
    body,
    vary: [],
  };
}

/**
 * Where the upstream redirects clients to; null if it sends the blob itself, does not have it, or redirects to where
 * the client cannot read.
 */
async function locationUpstream(
  client: RegistryClient,
  { remote, rule }: Pull,
  { digest }: BlobRequest,
): Promise<string | null> {
  const found = await client.blobLocation(remote, digest);
  if (found.kind === 'not-found' || found.url === null) return null;
  return found.url.origin !== rule.upstream.origin || isPresigned(found.url, rule) ? found.url.href : null;
}

/**
 * Whether an address on the upstream's own host can be read without its credentials: a signature is in the query, the
 * registry, which wants a token, is not below it, and no client certificate is needed.
 */
function isPresigned({ search, pathname }: URL, { upstream, certificate }: OriginRule): boolean {
  return search !== '' && !pathname.startsWith(`${upstream.pathname.replace(/\/$/, '')}/v2/`) && certificate === null;
}
