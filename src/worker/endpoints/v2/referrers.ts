/** `/v2/<name>/referrers/<digest>`: OCI distribution spec 1.1, "Listing Referrers". */
import type { Descriptor } from '../../../registry/descriptor.ts';
import { referrersKey } from '../../../registry/keys.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../registry/media-type.ts';
import { decodeReferrers, encodeReferrers } from '../../../registry/referrers.ts';
import type { ReadStore } from '../../../registry/store.ts';
import { type Answer, entityTagOf } from '../../gateway/answer.ts';
import { pathOf, type RegistryRequest, type RequestOptions } from '../../gateway/registry-request.ts';
import { readAll } from '../../../bucket/read-object.ts';

/** Maximum size of one page, in bytes; a `Link` leads to the next. Clients read at most 4 MiB of an index. */
export const REFERRERS_PAGE = 1024 * 1024;

/**
 * Answers with an index of the manifest's referrers. It is empty if there are none, or if the manifest or the
 * repository does not exist.
 */
export async function answerReferrers(
  request: Extract<RegistryRequest, { kind: 'referrers' }>,
  _options: RequestOptions,
  store: ReadStore,
): Promise<Answer> {
  const { name, subject, artifactType, last } = request;
  const object = await store.get(referrersKey(name, subject));
  // Also where the repository does not exist: the endpoint "MUST NOT return a 404" (the same section).
  if (object === null || object === 'changed') return answerIndex(encodeReferrers([]), artifactType, null);
  const stored = await readAll(object.body, object.size);
  if (artifactType === null && last === null && stored.length <= REFERRERS_PAGE)
    return answerIndex(stored, artifactType, null);
  const matching = decodeReferrers(stored).filter(
    (one) => (artifactType === null || one.artifactType === artifactType) && (last === null || one.digest > last),
  );
  const page = firstOf(matching, REFERRERS_PAGE);
  const next = page.length < matching.length ? (page.at(-1)?.digest ?? null) : null;
  return answerIndex(encodeReferrers(page), artifactType, next === null ? null : pathOf({ ...request, last: next }));
}

async function answerIndex(body: Uint8Array, artifactType: string | null, nextPath: string | null): Promise<Answer> {
  return {
    kind: 'found',
    representation: {
      contentType: MEDIA_TYPE_OF_FORM['oci-index'],
      length: body.length,
      etag: await entityTagOf(body),
      ...(artifactType !== null && { filtersApplied: 'artifactType' }),
      ...(nextPath !== null && { link: `<${nextPath}>; rel="next"` }),
    },
    body,
    vary: [],
  };
}

// Descriptors are sorted by digest, so the last one of a page determines where the next begins.
function firstOf(descriptors: readonly Descriptor[], bytes: number): readonly Descriptor[] {
  let sum = 0;
  const end = descriptors.findIndex((descriptor, index) => {
    sum += JSON.stringify(descriptor).length + 1;
    return index > 0 && sum > bytes;
  });
  return end === -1 ? descriptors : descriptors.slice(0, end);
}
