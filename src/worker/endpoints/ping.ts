/** `/v2/`: OCI distribution spec 1.1, "Determining Support". Most clients learn only here how to log in. */
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { refused } from '../gateway/answer.ts';
import { CACHING } from '../gateway/cache-policy.ts';
import { type EdgeHandler, withAccess, refuseTo } from '../gateway/edge-context.ts';

/** Confirms that this is a v2 registry, or challenges the client to log in. */
export const ping: EdgeHandler = (c) => withAccess(c, { kind: 'ping' }, () => Promise.resolve(pong()));

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
