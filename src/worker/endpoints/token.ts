/** `/token`: the built-in token endpoint (Docker's token specification), for clients that use Bearer. */
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { authorizeToken } from '../access/authorize.ts';
import { issueToken } from '../access/tokens/issue-token.ts';
import { refused } from '../gateway/answer.ts';
import { type EdgeHandler, factsOf, refuseTo } from '../gateway/edge-context.ts';

/** Issues a token for the presented credentials. Caches must not store it. */
export const token: EdgeHandler = async (c) => {
  const { access, limiter } = c.env.config;
  const facts = factsOf(c);
  const now = new Date();
  const caller = await authorizeToken(access, limiter, facts, now);
  if ('kind' in caller) return refuseTo(c, refused(caller.reason, { headers: caller.headers }));
  const answer = await issueToken(access, caller, {
    query: new URL(c.req.url).searchParams,
    authorization: facts.authorization,
    origin: facts.origin,
    now,
  });
  const body = new TextEncoder().encode(JSON.stringify(answer));
  return new Response(body, {
    headers: {
      'content-type': MEDIA_TYPES.json,
      'content-length': String(body.length),
      'cache-control': 'private, no-store',
    },
  });
};
