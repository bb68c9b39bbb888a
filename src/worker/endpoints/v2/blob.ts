/** `/v2/<name>/blobs/<digest>`: OCI distribution spec 1.1, "Pulling blobs". */
import { blobKey } from '../../../registry/keys.ts';
import { MEDIA_TYPES } from '../../../registry/media-type.ts';
import type { RealmName } from '../../../registry/realms.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { type Answer, refused } from '../../gateway/answer.ts';
import type { RegistryRequest, RequestOptions } from '../../gateway/registry-request.ts';
import { refuseUnknown } from './known-repository.ts';

/**
 * Answers with a blob of the repository's realm, or a part of it. HEAD opens no body. The stream from storage is passed
 * to the client unchanged.
 */
export async function answerBlob(
  { name, digest }: Extract<RegistryRequest, { kind: 'blob' | 'blob-presence' }>,
  { head, range }: Pick<RequestOptions, 'head' | 'range'>,
  { realm, store, wholeUpTo }: { readonly realm: RealmName; readonly store: ReadStore; readonly wholeUpTo: number },
): Promise<Answer> {
  const key = blobKey(realm, digest);
  const cut = range !== null && !head && (wholeUpTo === 0 || ((await store.head(key))?.size ?? 0) > wholeUpTo);
  const got = head ? null : await store.get(key, cut ? { range } : undefined);
  const stored = got === 'changed' ? null : got;
  const object = head ? await store.head(key) : stored;
  if (object === null) {
    const message = `The repository ${name} has no blob ${digest}.`;
    return refuseUnknown(store, name, refused('blob-unknown', { message, detail: { name, digest } }));
  }
  const { size } = object;
  const part = cut ? stored?.range : undefined;
  if (part?.length === 0) {
    await stored?.body.cancel();
    return refused('range-not-satisfiable', {
      detail: { size },
      headers: { 'content-range': `bytes */${String(size)}` },
    });
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
 * Answers whether the blob exists, with its length as the body, so that a cache stores a few bytes instead of the blob.
 */
export async function answerBlobPresence(
  request: Extract<RegistryRequest, { kind: 'blob-presence' }>,
  { realm, store }: { readonly realm: RealmName; readonly store: ReadStore },
): Promise<Answer> {
  const answer = await answerBlob(request, { head: true, range: null }, { realm, store, wholeUpTo: 0 });
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
