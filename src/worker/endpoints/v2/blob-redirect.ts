/** Redirects for blobs that clients fetch from another location. The redirect is sent only if the blob exists. */
import { allowsMatch, isNamed } from '../../../http/conditions.ts';
import { blobKey } from '../../../registry/keys.ts';
import type { Grant } from '../../access/guard.ts';
import { locationOf } from '../../storage/blob-location.ts';
import {
  discardBody,
  fetchFromRegistry,
  type EdgeContext,
  notModified,
  refuseTo,
  WHOLE_REPRESENTATION,
} from '../../gateway/edge-context.ts';
import type { RegistryRequest } from '../../gateway/registry-request.ts';

/** Cache lifetime of an unsigned redirect, in seconds: it changes only with the configuration. */
const UNSIGNED_MAX_AGE = 3_600;

/** Redirects with 307, which all clients follow for GET and HEAD. Docker before 1.10 does not support 308. */
export async function redirectBlob(
  c: EdgeContext,
  { name, digest }: Extract<RegistryRequest, { kind: 'blob' }>,
  grant: Grant,
): Promise<Response> {
  const { delivery } = c.env.config;
  if (delivery.mode === 'stream') throw new Error('BLOB_DELIVERY is "stream": blobs are not redirected');
  const reply = await fetchFromRegistry(c, { kind: 'blob-presence', name, digest }, WHOLE_REPRESENTATION, grant);
  if (reply.refusal !== null) return refuseTo(c, reply.refusal, reply.headers);
  const { raw } = c.req;
  const { etag } = reply.headers;
  if (etag !== undefined && !allowsMatch(raw.headers.get('if-match'), etag)) {
    discardBody(reply);
    return refuseTo(c, { kind: 'refused', reason: 'precondition-failed' });
  }
  if (etag !== undefined && isNamed(raw.headers.get('if-none-match'), etag)) return notModified(reply);
  if (reply.body instanceof ReadableStream) await reply.body.cancel();
  const method = raw.method === 'HEAD' ? 'HEAD' : 'GET';
  const { url, signed } = await locationOf(delivery, {
    method,
    realm: grant.realm,
    key: blobKey(grant.realm, digest),
    now: new Date(),
  });
  const headers = new Headers({
    location: url,
    'cache-control': signed ? 'no-store' : `public, max-age=${String(UNSIGNED_MAX_AGE)}`,
    'docker-content-digest': digest,
    'content-type': 'application/octet-stream',
    'content-length': '0',
  });
  return new Response(method === 'HEAD' ? null : new Uint8Array(0), { status: 307, headers });
}
