/**
 * `/index/static` and `/index/dynamic`: what a Flatpak client reads to list and find applications (see
 * `ingest/pulp3/flatpak-index.ts`).
 */
import { isNamed } from '../../http/conditions.ts';
import { refused, type Refused } from '../gateway/answer.ts';
import {
  type EdgeHandler,
  fetchFromRegistry,
  notModified,
  publicOrigin,
  refuseTo,
  WHOLE_REPRESENTATION,
  withAccess,
} from '../gateway/edge-context.ts';
import type { RegistryRequest } from '../gateway/registry-request.ts';

/** Most members of the query, and most characters of one. */
const QUERY_LIMITS = { members: 32, length: 255 } as const;

/** The label that each image of an application has; other images do not belong in a Flatpak list. */
const REQUIRED = 'label:org.flatpak.ref:exists';

/** Lists the applications that the caller may see, with this registry as their address. */
export const flatpakIndex: EdgeHandler = (c) =>
  withAccess(c, { kind: 'listing' }, async (grant) => {
    const request = parseRequest(c.req.param('index') ?? '', new URL(c.req.url).searchParams);
    if (request.kind === 'refused') return refuseTo(c, request);
    c.env.trace.target = request;
    const reply = await fetchFromRegistry(c, request, WHOLE_REPRESENTATION, grant);
    if (reply.refusal !== null) return refuseTo(c, reply.refusal, reply.headers);
    const { etag } = reply.headers;
    if (etag !== undefined && isNamed(c.req.raw.headers.get('if-none-match'), etag)) return notModified(reply);
    const list = await new Response(reply.body).json<object>();
    const body = new TextEncoder().encode(JSON.stringify({ Registry: publicOrigin(c), ...list }));
    const headers = { ...reply.headers, 'content-length': String(body.length) };
    return new Response(c.req.raw.method === 'HEAD' ? null : body, { headers });
  });

/** Sorts the query, so that clients share cache entries. */
function parseRequest(
  index: string,
  query: URLSearchParams,
): Extract<RegistryRequest, { kind: 'flatpak-index' }> | Refused {
  const members = [...query];
  if (
    query.get(REQUIRED) !== '1' ||
    members.length > QUERY_LIMITS.members ||
    members.some(([key, value]) => !KEYS.test(key) || key.length + value.length > QUERY_LIMITS.length)
  )
    return refused('query-invalid', {
      message: `The query needs ${REQUIRED}=1, and beside it may have repository, tag, os, architecture and label:….`,
    });
  const sorted = new URLSearchParams(members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  return { kind: 'flatpak-index', index: index === 'static' ? 'static' : 'dynamic', query: sorted.toString() };
}

const KEYS = /^(?:repository|tag|os|architecture|label:.+)$/;
