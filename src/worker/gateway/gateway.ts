/**
 * The gateway: reads what a client asks, sees who asks, puts the request to the registry in canonical form, and makes the answer this client's: conditions and ranges are
 * looked at here, after negotiation.
 */
import type { Context } from 'hono';
import { parseAccept } from '../../http/accept.ts';
import { allowsRange, isNamed } from '../../http/conditions.ts';
import { parseRange } from '../../http/range.ts';
import { type ByteRange, StorageError } from '../../registry/store.ts';
import type { Caller } from '../access/caller.ts';
import { type AccessFacts, accessFactsOf } from '../access/authorize.ts';
import type { Resource } from '../access/decision.ts';
import { type Grant, guard } from '../access/guard.ts';
import type { Refused } from './answer.ts';
import { refused } from './answer.ts';
import type { RequestOptions } from './asked.ts';
import type { Config } from '../config.ts';
import type { Edge } from '../edge.ts';
import type { HeaderFields } from './header-fields.ts';
import { redirectBlob } from '../endpoints/v2/blob-redirect.ts';
import { readExplanation, v1Explanation } from '../endpoints/v1-images.ts';
import { redirectsBlobs } from '../storage/blob-location.ts';
import { inNamespace } from './namespace.ts';
import type { RegistryRequest } from './registry-request.ts';
import type { RequestTarget } from './parse-request.ts';
import type { RegistryProps, VisibleTo } from './registry.ts';
import { addClosingFields } from '../log/report.ts';
import { refuse, type RegistryResponse } from './registry-response.ts';
import { noteResponse } from '../log/trace.ts';

/** What a handler of the endpoint table gets. */
export type EdgeContext = Context<{ Bindings: Edge }>;

/** A handler of the endpoint table. */
export type EdgeHandler = (c: EdgeContext) => Response | Promise<Response>;

/** The handler of an endpoint that is answered from storage. `read` makes a request of path and query. */
export function handle(read: (asking: RequestTarget) => RegistryRequest | Refused): EdgeHandler {
  return (c) => {
    const asking = requestTargetOf(c);
    const request = inNamespace(read(asking), asking, c.env.config.origins);
    if (request.kind === 'refused') return refuseTo(c, request);
    c.env.trace.target = request;
    return withAccess(c, resourceOf(request), (grant) => answer(c, request, grant));
  };
}

/** Answers what the caller may have: asks who is there, and keeps caches on the way from keeping what is not everybody's. `page`: a person with a browser asks. */
export function withAccess(
  c: EdgeContext,
  resource: Resource,
  work: (grant: Grant) => Promise<Response>,
  page = false,
): Promise<Response> {
  const { access, limiter } = c.env.config;
  return guard(factsOf(c, page), resource, {
    policy: access,
    limiter,
    answer: work,
    refuse: (reason, headers) => refuseTo(c, refused(reason, { headers })),
  });
}

/** Puts a request to the registry with what the grant allows, and notes what came of it. */
export async function fetchFromRegistry(
  c: EdgeContext,
  request: RegistryRequest,
  options: RequestOptions,
  grant: Grant,
): Promise<RegistryResponse> {
  const { config, registry, trace } = c.env;
  // As askRegistry does, without another promise: this is the way of every pull.
  const reply = await registry.fetch(request, options, registryProps(config, request, grant));
  noteResponse(trace, reply);
  return reply;
}

/** A refusal, as the client gets it. `base`: headers to keep. */
export function refuseTo(c: EdgeContext, reason: Refused, base?: HeaderFields): Response {
  c.env.trace.reason = reason.reason;
  return refuse(reason, publicOrigin(c), base);
}

/** Scheme and host for links: those that were set, or those that the client asked. */
export function publicOrigin({ env, req }: EdgeContext): string {
  return env.config.publicUrl ?? new URL(req.url).origin;
}

/** Who asks, as far as access is concerned. */
export function factsOf(c: EdgeContext, page = false): AccessFacts {
  return accessFactsOf(c.req.raw, page, c.env.config.publicUrl ?? undefined);
}

/** Everything a request's answer holds, and nothing of what a client said; for what the gateway itself needs to know. */
export const WHOLE_REPRESENTATION: RequestOptions = { head: false, accept: null, userAgent: null, range: null };

async function answer(c: EdgeContext, request: RegistryRequest, grant: Grant): Promise<Response> {
  const { raw } = c.req;
  if (request.kind === 'blob' && !grant.hidden && redirectsBlobs(c.env.config.delivery, grant.realm))
    return redirectBlob(c, request, grant);
  const condition = raw.headers.get('if-none-match');
  const known = knownEntityTag(request);
  const hasIt = known !== null && isNamed(condition, known);
  const head = raw.method === 'HEAD' || hasIt;
  const range = request.kind === 'blob' && !head && known !== null ? rangeOf(raw.headers, known) : null;
  const isNegotiated = request.kind === 'manifest';
  const { config, registry, trace } = c.env;
  const reply = await registry.fetch(
    request,
    {
      head,
      accept: isNegotiated ? parseAccept(raw.headers.get('accept')) : null,
      userAgent: isNegotiated ? raw.headers.get('user-agent') : null,
      range,
    },
    registryProps(config, request, grant),
  );
  noteResponse(trace, reply);
  const { status, headers } = reply;
  if (reply.refusal !== null) return refusal(c, request, reply.refusal, headers);
  if (headers.etag !== undefined && isNamed(condition, headers.etag)) return notModified(reply);
  const body = head
    ? null
    : request.kind === 'manifest' && reply.body instanceof ReadableStream
      ? await readWhole(reply.body, headers)
      : reply.body;
  const response = new Response(body, { status, headers: addClosingFields(headers, trace) });
  trace.bytes = body === null ? 0 : Number(headers['content-length'] ?? 0);
  return response;
}

function rangeOf(headers: Headers, etag: string): ByteRange | null {
  const range = parseRange(headers.get('range'));
  return range !== null && allowsRange(headers.get('if-range'), etag) ? range : null;
}

/** What a digest names has that for its entity tag: known before it is asked for. */
function knownEntityTag(request: RegistryRequest): string | null {
  if (request.kind === 'blob') return `"${request.digest}"`;
  return request.kind === 'manifest' && request.reference.kind === 'digest' ? `"${request.reference.digest}"` : null;
}

function refusal(c: EdgeContext, request: RegistryRequest, reason: Refused, headers: HeaderFields): Response {
  if (request.kind === 'v1-images') {
    const found = readExplanation(reason.detail);
    if (found !== null) return v1Explanation(request.name, found, publicOrigin(c), headers);
  }
  return refuseTo(
    c,
    {
      kind: 'refused',
      reason: reason.reason,
      ...(reason.message !== undefined && { message: reason.message }),
      ...(reason.detail && { detail: reason.detail }),
    },
    headers,
  );
}

/** Headers that speak of a body, which a 304 does not have (RFC 9110, section 15.4.5). */
const BODY_HEADERS: ReadonlySet<string> = new Set(['content-type', 'content-length', 'content-range', 'accept-ranges']);

/** Says that the client has it already. */
export function notModified({ headers, body }: RegistryResponse): Response {
  if (body instanceof ReadableStream) void body.cancel().catch(() => undefined);
  const kept = Object.entries(headers).filter(([name]) => !BODY_HEADERS.has(name));
  return new Response(null, { status: 304, headers: Object.fromEntries(kept) });
}

/**
 * Bodies go out as they come: those of the bucket and of the registry entrypoint know their length, and break off where it is not reached. (Another FixedLengthStream here
 * would stop one that has been through one before: workerd does not pass bytes from one to the next.) A manifest is small and no client takes one without its length, so
 * it is read whole where it came as a stream. Throws {@link StorageError} where it comes short.
 */
async function readWhole(body: ReadableStream<Uint8Array>, headers: HeaderFields): Promise<Uint8Array> {
  const bytes = new Uint8Array(await new Response(body).arrayBuffer());
  const length = headers['content-length'];
  if (length !== undefined && bytes.length !== Number(length))
    throw new StorageError('STORAGE_UNAVAILABLE', 'the manifest came short');
  headers['content-length'] = String(bytes.length);
  return bytes;
}

function resourceOf(request: RegistryRequest): Resource {
  return request.kind === 'catalog' ? { kind: 'listing' } : { kind: 'repository', name: request.name };
}

function registryProps({ access }: Config, request: RegistryRequest, { realm, hidden, caller }: Grant): RegistryProps {
  const lists = request.kind === 'catalog' && access.protectedRealms.size > 0 ? visibleTo(caller) : null;
  return { realm, hidden, lists };
}

// Sorted, so that callers who see the same share what is kept.
function visibleTo({ realms, listed, repositories }: Caller): VisibleTo {
  return { realms: [...new Set([...realms, ...listed])].sort(), repositories: [...repositories].sort() };
}

function requestTargetOf({ req }: EdgeContext): RequestTarget {
  return { parameter: (name) => req.param(name) ?? '', query: () => new URL(req.url).searchParams };
}
