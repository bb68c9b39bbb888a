/** What the handlers of the endpoint table share: access, requests to the registry, and refusals. */
import type { Context } from 'hono';
import { type AccessFacts, accessFactsOf } from '../access/authorize.ts';
import type { Caller } from '../access/caller.ts';
import type { Resource } from '../access/decision.ts';
import { type Grant, guard } from '../access/guard.ts';
import type { Config } from '../config.ts';
import type { Edge } from '../edge.ts';
import { noteResponse } from '../log/trace.ts';
import { type HeaderFields, type Refused, refused } from './answer.ts';
import type { RegistryProps, VisibleTo } from './registry.ts';
import type { RegistryRequest, RequestOptions } from './registry-request.ts';
import { refuse, type RegistryResponse } from './registry-response.ts';

/** The context of a handler. */
export type EdgeContext = Context<{ Bindings: Edge }>;

/** A handler of the endpoint table. */
export type EdgeHandler = (c: EdgeContext) => Response | Promise<Response>;

/**
 * Runs `work` with what the caller may access, or refuses. Responses that are not public are marked private, so that
 * caches on the way to the client do not share them. `page`: the client is a person with a browser.
 */
export function withAccess(
  c: EdgeContext,
  resource: Resource,
  work: (grant: Grant) => Promise<Response>,
  page = false,
): Promise<Response> {
  const { access, limiter } = c.env.config;
  const { trace } = c.env;
  return guard(factsOf(c, page), resource, {
    policy: access,
    limiter,
    answer: (grant) => {
      trace.concealsReads = grant.isPrivate;
      return work(grant);
    },
    refuse: (reason, headers) => refuseTo(c, refused(reason, { headers })),
  });
}

/** Sends a request to the registry, restricted to what the grant allows, and records the response in the trace. */
export async function fetchFromRegistry(
  c: EdgeContext,
  request: RegistryRequest,
  options: RequestOptions,
  grant: Grant,
): Promise<RegistryResponse> {
  const { config, registry, trace } = c.env;
  const client = clientAddress(c);
  const response = await registry.fetch(request, { ...options, client }, registryProps(config, request, grant));
  noteResponse(trace, response);
  return response;
}

/** The response to the client for a refusal. `base`: headers to keep. */
export function refuseTo(c: EdgeContext, refusal: Refused, base?: HeaderFields): Response {
  c.env.trace.reason = refusal.reason;
  return refuse(refusal, publicOrigin(c), base);
}

/** Scheme and host for links: `PUBLIC_URL`, or those of the client's request. */
export function publicOrigin({ env, req }: EdgeContext): string {
  return env.config.publicUrl ?? new URL(req.url).origin;
}

/** The client's address; null where the platform does not give it. */
export function clientAddress({ req }: EdgeContext): string | null {
  return req.raw.headers.get('cf-connecting-ip');
}

/** The facts of the client's request that access depends on. */
export function factsOf(c: EdgeContext, page = false): AccessFacts {
  return accessFactsOf(c.req.raw, page, c.env.config.publicUrl ?? undefined);
}

/** Options of requests that the gateway makes for itself: the whole representation, without negotiation. */
export const WHOLE_REPRESENTATION: RequestOptions = { head: false, accept: null, userAgent: null, ranges: null };

/** Headers that describe a body. A 304 has no body (RFC 9110, section 15.4.5). */
const BODY_HEADERS: ReadonlySet<string> = new Set(['content-type', 'content-length', 'content-range', 'accept-ranges']);

/** The 304 response: the client already has the representation. */
export function notModified(response: RegistryResponse): Response {
  discardBody(response);
  const { headers } = response;
  const kept = Object.entries(headers).filter(([name]) => !BODY_HEADERS.has(name));
  return new Response(null, { status: 304, headers: Object.fromEntries(kept) });
}

/** Cancels a body that is not sent. */
export function discardBody({ body }: RegistryResponse): void {
  // Ignore errors after cancellation.
  if (body instanceof ReadableStream) void body.cancel().catch(() => undefined);
}

/** The props of the registry entrypoint for a request. */
export function registryProps(
  { access }: Config,
  request: RegistryRequest,
  { realm, hidden, caller }: Grant,
): RegistryProps {
  const lists = !('name' in request) && access.protectedRealms.size > 0 ? visibleTo(caller) : null;
  return { realm, hidden, lists };
}

// Sorted, so that callers with the same access share cache entries.
function visibleTo({ realms, listed, repositories }: Caller): VisibleTo {
  return { realms: [...new Set([...realms, ...listed])].sort(), repositories: [...repositories].sort() };
}
