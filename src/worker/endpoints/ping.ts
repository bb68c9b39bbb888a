/** `/v2/`: OCI distribution spec 1.1, "Determining Support". Most clients learn only here how to log in. */
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { refused } from '../gateway/answer.ts';
import { CACHING } from '../gateway/cache-policy.ts';
import { type EdgeHandler, withAccess, refuseTo } from '../gateway/edge-context.ts';
import { hasSignatures } from '../ingest/origins.ts';

/** Announces the signature extension of containers/image (see `v2/signatures.ts`). */
const SIGNATURES_HEADER = 'x-registry-supports-signatures';

/** Confirms that this is a v2 registry, or challenges the client to log in. */
export const ping: EdgeHandler = async (c) => {
  const response = await withAccess(c, { kind: 'ping' }, () => Promise.resolve(pong()));
  // Also with a challenge: clients look for it there, once. Then they use no other place for signatures of this host.
  if (c.env.config.origins.some(hasSignatures)) response.headers.set(SIGNATURES_HEADER, '1');
  return response;
};

/** `/v1/_ping`: Docker before 1.8 tries it if v2 fails. There is no v1 API. */
export const pingV1: EdgeHandler = (c) => refuseTo(c, refused('v1-unsupported'));

function pong(): Response {
  const headers = {
    'content-type': MEDIA_TYPES.json,
    'content-length': '2',
    'cache-control': CACHING.never.cacheControl,
  };
  return new Response(new TextEncoder().encode('{}'), { headers });
}
