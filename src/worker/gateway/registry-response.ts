/**
 * Answers as HTTP responses. Between registry and gateway a refusal is a header without a body: its text contains the
 * host of the client's request, which a cached response must not, so the gateway writes it. GET and HEAD share one
 * header builder.
 */
import { type ErrorDetail, errorBody, isReason, type Reason, reasonRow } from '../../registry/errors.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import type { Answer, AnswerBody, HeaderFields, Redirect, Refused, Representation } from './answer.ts';
import { type CacheKind, CACHING, cacheTags, cachingOfFound, cachingOfReason } from './cache-policy.ts';
import type { RegistryRequest } from './registry-request.ts';
import type { ReadCount } from '../storage/r2-store.ts';

/** Headers between registry and gateway, which are never sent to clients. */
export const INNER_HEADERS = { refusal: 'gantry-refusal', facts: 'gantry-facts' } as const;

/** What the registry reports for the gateway's log. */
export interface InnerFacts extends ReadCount {
  readonly form?: string;
  /** Time from the request to the answer, in milliseconds. */
  readonly ms: number;
}

/** Seconds after which a client may retry if storage does not answer. */
const RETRY_AFTER = '5';

/** Sent with every response: without it, old engines treat the host as a v1 registry. */
export const API_VERSION = 'registry/2.0';

/** The registry's response to the gateway, which may change `headers`. */
export interface RegistryResponse {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: AnswerBody;
  /** Set if there is no representation: the headers have its cache lifetime, and the gateway writes the body. */
  readonly refusal: Refused | null;
  /** null for a response that the cache generated. */
  readonly facts: InnerFacts | null;
  /** The cache's status; null without a cache. */
  readonly cache: string | null;
}

/** The response for a gateway in the same isolate. */
export function toRegistryResponse(
  answer: Answer | Redirect,
  request: RegistryRequest,
  facts: InnerFacts,
): RegistryResponse {
  const headers: HeaderFields = { 'cache-control': CACHING[cachingOf(answer, request)].cacheControl };
  if (answer.kind === 'redirect') {
    headers.location = answer.location;
    headers['content-type'] = MEDIA_TYPES.octetStream;
    headers['content-length'] = '0';
    // All clients follow 307 for GET and HEAD; Docker before 1.10 does not support 308.
    return { status: 307, headers, body: null, refusal: null, facts, cache: null };
  }
  if (answer.vary !== undefined && answer.vary.length > 0) headers.vary = answer.vary.join(', ');
  if (answer.kind === 'refused') {
    Object.assign(headers, answer.headers);
    return { status: reasonRow(answer.reason).status, headers, body: null, refusal: answer, facts, cache: null };
  }
  setRepresentation(headers, answer.representation);
  if (answer.warning !== undefined) headers.warning = answer.warning;
  return {
    status: answer.representation.ranges?.part === undefined ? 200 : 206,
    headers,
    body: answer.body,
    refusal: null,
    facts,
    cache: null,
  };
}

/** The same as an HTTP response, for the cache and the gateway in front of it. */
export function toResponse(answer: Answer | Redirect, request: RegistryRequest, facts: InnerFacts): Response {
  const { status, headers, body, refusal } = toRegistryResponse(answer, request, facts);
  headers['cloudflare-cdn-cache-control'] = CACHING[cachingOf(answer, request)].edgeCacheControl;
  headers['cache-tag'] = cacheTags(request);
  headers[INNER_HEADERS.facts] = escapeNonAscii(JSON.stringify(facts));
  if (refusal !== null) {
    const { reason, message, detail } = refusal;
    headers[INNER_HEADERS.refusal] = escapeNonAscii(JSON.stringify({ reason, message, detail }));
  }
  return new Response(body, { status, headers });
}

/** Parses the response of the registry entrypoint, or of the cache in front of it. */
export function readRegistryResponse(response: Response): RegistryResponse {
  const headers: HeaderFields = {};
  const facts = response.headers.get(INNER_HEADERS.facts);
  for (const [name, value] of response.headers) if (!INTERNAL_ONLY.has(name)) headers[name] = value;
  return {
    status: response.status,
    headers,
    body: response.body as ReadableStream<Uint8Array> | null,
    refusal: refusalOf(response.headers.get(INNER_HEADERS.refusal), response.status),
    facts: facts === null ? null : (JSON.parse(facts) as InnerFacts),
    cache: response.headers.get('cf-cache-status'),
  };
}

const INTERNAL_ONLY: ReadonlySet<string> = new Set([
  INNER_HEADERS.facts,
  INNER_HEADERS.refusal,
  'cloudflare-cdn-cache-control',
  'cache-tag',
  'cf-cache-status',
]);

function refusalOf(text: string | null, status: number): Refused | null {
  if (text === null) {
    // The cache cuts ranges itself and generates this status. Any other status without a refusal is unexpected.
    if (status === 416) return { kind: 'refused', reason: 'range-not-satisfiable' };
    return status === 200 || status === 206 || status === 307 ? null : { kind: 'refused', reason: 'internal' };
  }
  const { reason, message, detail } = JSON.parse(text) as { reason: string; message?: string; detail?: ErrorDetail };
  const known: Reason = isReason(reason) ? reason : 'internal';
  return {
    kind: 'refused',
    reason: known,
    ...(message !== undefined && { message }),
    ...(detail !== undefined && { detail }),
  };
}

function cachingOf(answer: Answer | Redirect, request: RegistryRequest): CacheKind {
  if (answer.kind === 'redirect' || (answer.kind === 'refused' && answer.isMomentary === true)) return 'never';
  if (answer.kind === 'refused') return cachingOfReason(answer.reason);
  return answer.isUnverified === true ? 'never' : cachingOfFound(request);
}

function setRepresentation(
  headers: HeaderFields,
  { contentType, length, etag, digest, ranges, link, filtersApplied }: Representation,
): void {
  headers['content-type'] = contentType;
  headers['content-length'] = String(length);
  headers.etag = etag;
  if (digest !== undefined) headers['docker-content-digest'] = digest;
  if (ranges !== undefined) headers['accept-ranges'] = 'bytes';
  if (ranges?.part !== undefined && ranges.part !== 'several') {
    const { offset } = ranges.part;
    headers['content-range'] =
      `bytes ${String(offset)}-${String(offset + ranges.part.length - 1)}/${String(ranges.size)}`;
  }
  if (link !== undefined) headers.link = link;
  if (filtersApplied !== undefined) headers['oci-filters-applied'] = filtersApplied;
}

/**
 * The client's response for a refusal: the OCI error body, with a help link on `origin` ('' for a relative one).
 * `base`: headers to keep.
 */
export function refuse(
  { reason, message, detail, vary, headers: more }: Refused,
  origin: string,
  base?: HeaderFields,
): Response {
  const row = reasonRow(reason);
  const body = new TextEncoder().encode(
    errorBody(reason, { origin, ...(message !== undefined && { message }), ...(detail !== undefined && { detail }) }),
  );
  const headers: HeaderFields = {
    ...(row.status === 503 && { 'retry-after': RETRY_AFTER }),
    'cache-control': CACHING[row.caching].cacheControl,
    // nginx with `proxy_cache_use_stale` ignores must-revalidate, so it must not store a miss.
    ...(row.caching === 'miss' && { 'x-accel-expires': '0' }),
    ...base,
    ...(vary !== undefined && vary.length > 0 && { vary: vary.join(', ') }),
    ...(row.status === 405 && { allow: 'GET, HEAD' }),
    ...more,
    'content-type': MEDIA_TYPES.json,
    'content-length': String(body.length),
  };
  return new Response(body, { status: row.status, headers });
}

// Header values are Latin-1 at best, and the detail may contain any text of the client's request.
function escapeNonAscii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
