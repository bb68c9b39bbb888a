/**
 * The schema 2 of a tag that the upstream has as schema 1 only: derived when the first client requests it, because all
 * layers must be unpacked for it. The tag object is then written with all its forms, and no layer is unpacked again.
 */
import { mapLimit } from '../../../bucket/concurrency.ts';
import { readBytes } from '../../../bucket/read-object.ts';
import { publishedRoots, readTag } from '../../../bucket/read-tag.ts';
import { layersOfSchema1 } from '../../../manifest/from-schema1.ts';
import type { UnpackedLayer } from '../../../manifest/image.ts';
import { ManifestError, readManifest } from '../../../manifest/read.ts';
import { EMPTY_LAYER } from '../../../manifest/schema1.ts';
import { openBlob } from '../../../origin/blob.ts';
import { OriginError } from '../../../origin/errors.ts';
import type { Digest } from '../../../registry/digest.ts';
import { blobKey, tagKey } from '../../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../../registry/name.ts';
import { decodeOriginMark } from '../../../registry/origin-mark.ts';
import { StorageError } from '../../../registry/store.ts';
import type { Answer } from '../../gateway/answer.ts';
import { withRetries } from '../../../bucket/retry.ts';
import { type FetchedTag, ingestTag } from '../ingest-tag.ts';
import { blobLimits, FillLimitError, fillWithin, inSlot } from '../fill-limits.ts';
import { overlay } from '../overlay.ts';
import { storeBlob } from '../pull-blob.ts';
import { noteOutage, type Pull, unlessLimited, waitFor } from '../pull.ts';
import { isUnknown, withWarning } from '../stored-answer.ts';
import { unpackLayer } from './unpack-layer.ts';

/** Layers that are unpacked at once: each uses a connection to the upstream and one to the bucket. */
const LAYERS_AT_ONCE = 2;

/**
 * Answers with a derived form. `answer`: the stored answer. If the layers cannot be read now, a client that accepts
 * schema 1 gets that. Throws {@link OriginError} and StorageError.
 */
export async function completeTag(pull: Pull, name: RepositoryName, tag: Tag, answer: Answer): Promise<Answer> {
  const { upstream, rule, answerStored, waitUntil } = pull;
  const key = tagKey(name, tag);
  try {
    unlessLimited(upstream);
    const flight = upstream.completions.once(key, waitUntil, () => unpackAndWrite(pull, name, tag, key));
    const completed = await waitFor(pull, upstream.completions, key, flight);
    if (completed !== 'moved') return await answerStored((store) => overlay(store, completed.object));
    // Where storage did not take the tag, what was answered is all that there is.
    const current = await answerStored();
    return isUnknown(current) ? answer : current;
  } catch (error) {
    if (answer.kind === 'found' && error instanceof FillLimitError) return answer;
    if (answer.kind !== 'found' || !(error instanceof OriginError || error instanceof StorageError)) throw error;
    const outage = error instanceof OriginError ? noteOutage(upstream, error, `${name}:${tag}`) : error;
    return withWarning(answer, rule, outage);
  }
}

/** Unpacks the layers and writes the tag. `'moved'`: the tag is no longer the one that was answered. */
async function unpackAndWrite(pull: Pull, name: RepositoryName, tag: Tag, key: string): Promise<FetchedTag | 'moved'> {
  const { rule, realm, signer, retry } = pull;
  const store = withRetries(pull.store, retry);
  const reading = await readTag(store, key);
  const mark = reading?.kind === 'read' ? decodeOriginMark(reading.info.metadata) : null;
  if (reading?.kind !== 'read' || mark === null) return 'moved';
  const [form, ...others] = publishedRoots(reading);
  const bytes = form === undefined ? undefined : reading.manifests[reading.record.forms.indexOf(form)];
  if (form?.form !== 'docker-schema1' || bytes === undefined || others.length > 0) return 'moved';
  const root = rootOf(bytes);
  const layers = layersOfSchema1(bytes);
  let packed = 0;
  const results = await inSlot('completions', ({ renew }) =>
    mapLimit(layers, LAYERS_AT_ONCE, async (layer) => {
      if (packed > rule.largest)
        throw new OriginError(
          'ORIGIN_LIMIT',
          `the layers of ${name}:${tag} have more than ${String(rule.largest)} bytes`,
        );
      const result = await unpack(pull, name, layer, renew);
      packed += result?.size ?? 0;
      return result;
    }),
  );
  const unpacked = new Map<Digest, UnpackedLayer>();
  for (const [index, layer] of layers.entries()) {
    const result = results[index];
    if (result !== undefined && result !== null) unpacked.set(layer, result);
  }
  const content = {
    roots: [root],
    children: new Map(),
    configs: new Map(),
    unpacked,
    recompressed: new Map(),
    held: new Set<Digest>(),
  };
  const place = { rule, name, tag, realm, signer, store };
  // The tag was not compared with the upstream now: it keeps the time of the last comparison.
  const options = { over: reading.info, upstreamDigest: mark.digest, now: mark.checked };
  const written = await ingestTag({ kind: 'image', digest: mark.digest, content, unknown: [] }, place, options);
  return written === 'published' ? 'moved' : written;
}

function rootOf(bytes: Uint8Array): ReturnType<typeof readManifest> {
  try {
    return readManifest(bytes);
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new StorageError('STORAGE_CORRUPT', `the stored schema 1 cannot be read: ${cause.message}`, { cause });
  }
}

/**
 * Unpacks a layer from the bucket, and stores it there first. Null: it cannot be unpacked, or the upstream does not
 * have it.
 */
async function unpack(
  pull: Pull,
  name: RepositoryName,
  layer: Digest,
  renew: () => void,
): Promise<UnpackedLayer | null> {
  const { rule, remote, realm, store } = pull;
  const key = blobKey(realm, layer);
  const empty = layer === EMPTY_LAYER.digest ? [EMPTY_LAYER.bytes] : null;
  if (empty !== null) return unpackLayer(chunksOf(empty), layer);
  let stored = await store.get(key);
  // Blobs under a rule that redirects clients are not stored.
  if (stored === null && rule.blobs === 'redirect') {
    return fillWithin(pull, blobLimits(rule.largest), key, async (client) => {
      const blob = await openBlob(client, remote, layer);
      return blob.kind === 'not-found' ? null : unpackLayer(renewing(blob.chunks, renew), layer);
    });
  }
  if (stored === null) {
    if ((await storeBlob(pull, name, layer)) === 'unknown') return null;
    stored = await store.get(key);
  }
  if (stored === null || stored === 'changed') throw new StorageError('STORAGE_UNAVAILABLE', `${layer} was not stored`);
  return unpackLayer(renewing(readBytes(stored.body).pass(stored.size), renew), layer);
}

async function* renewing(
  chunks: AsyncIterable<Uint8Array>,
  renew: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    renew();
    yield chunk;
  }
}

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}
