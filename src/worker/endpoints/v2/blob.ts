/** `/v2/<name>/blobs/<digest>`: OCI distribution spec 1.1, "Pulling blobs". */
import { areAscending, type RequestedRange, satisfiableRanges } from '../../../http/range.ts';
import type { Digest } from '../../../registry/digest.ts';
import { blobKey } from '../../../registry/keys.ts';
import { MEDIA_TYPES } from '../../../registry/media-type.ts';
import type { RealmName } from '../../../registry/realms.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { type Answer, refused, type Representation } from '../../gateway/answer.ts';
import type { RegistryRequest, RequestOptions } from '../../gateway/registry-request.ts';
import { areAffordable, multipartOf } from './blob-ranges.ts';
import { refuseUnknown } from './known-repository.ts';

/**
 * Answers with a blob of the repository's realm, or a part of it. HEAD opens no body. The stream from storage is passed
 * to the client unchanged.
 */
export async function answerBlob(
  { name, digest }: Extract<RegistryRequest, { kind: 'blob' | 'blob-presence' }>,
  { head, ranges }: Pick<RequestOptions, 'head' | 'ranges'>,
  { realm, store }: { readonly realm: RealmName; readonly store: ReadStore },
): Promise<Answer> {
  const key = blobKey(realm, digest);
  if (ranges !== null && ranges.length > 1 && !head) {
    const answer = await answerRanges(key, digest, ranges, store);
    if (answer !== null) return answer;
  }
  const range = ranges?.length === 1 && !head ? ranges[0] : undefined;
  const got = head ? null : await store.get(key, range === undefined ? undefined : { range });
  const stored = got === 'changed' ? null : got;
  const object = head ? await store.head(key) : stored;
  if (object === null) {
    const message = `The repository ${name} has no blob ${digest}.`;
    return refuseUnknown(store, name, refused('blob-unknown', { message, detail: { name, digest } }));
  }
  const { size } = object;
  const part = range === undefined ? undefined : stored?.range;
  if (part?.length === 0) {
    await stored?.body.cancel();
    return unsatisfiable(size);
  }
  return {
    kind: 'found',
    representation: {
      contentType: MEDIA_TYPES.octetStream,
      length: part?.length ?? size,
      digest,
      etag: `"${digest}"`,
      ranges: part === undefined ? { size } : { size, part },
    },
    body: stored?.body ?? null,
    vary: [],
  };
}

/**
 * Answers with several parts, or with one where only one of the ranges can be satisfied. null if the blob does not
 * exist, or if the ranges are ignored because they overlap, do not ascend, or are far apart (RFC 9110, section 14.2).
 */
async function answerRanges(
  key: string,
  digest: Digest,
  ranges: readonly RequestedRange[],
  store: ReadStore,
): Promise<Answer | null> {
  const info = await store.head(key);
  if (info === null) return null;
  const { size, etag } = info;
  const parts = satisfiableRanges(ranges, size);
  const [first] = parts;
  if (first === undefined) return unsatisfiable(size);
  if (!areAscending(parts) || !areAffordable(parts)) return null;
  const base = { digest, etag: `"${digest}"` };
  if (parts.length === 1) {
    const object = await store.get(key, { range: first });
    if (object === null || object === 'changed') return null;
    const representation: Representation = {
      ...base,
      contentType: MEDIA_TYPES.octetStream,
      length: first.length,
      ranges: { size, part: first },
    };
    return { kind: 'found', representation, body: object.body, vary: [] };
  }
  const { contentType, length, body } = multipartOf(store, { key, etag, size }, parts);
  const representation: Representation = { ...base, contentType, length, ranges: { size, part: 'several' } };
  return { kind: 'found', representation, body, vary: [] };
}

function unsatisfiable(size: number): Answer {
  return refused('range-not-satisfiable', {
    detail: { size },
    headers: { 'content-range': `bytes */${String(size)}` },
  });
}

/**
 * Answers whether the blob exists, with its length as the body, so that a cache stores a few bytes instead of the blob.
 */
export async function answerBlobPresence(
  request: Extract<RegistryRequest, { kind: 'blob-presence' }>,
  { realm, store }: { readonly realm: RealmName; readonly store: ReadStore },
): Promise<Answer> {
  const answer = await answerBlob(request, { head: true, ranges: null }, { realm, store });
  if (answer.kind === 'refused') return answer;
  const body = new TextEncoder().encode(String(answer.representation.length));
  return {
    kind: 'found',
    representation: {
      contentType: 'text/plain',
      length: body.length,
      etag: answer.representation.etag,
      digest: request.digest,
    },
    body,
    vary: [],
  };
}
