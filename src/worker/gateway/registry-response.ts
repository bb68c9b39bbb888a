/**
 * Answers as responses. Between registry and gateway a refusal travels without a body, as a header, since its text names the host that the client asked and a cached
 * answer must not; the gateway writes the text. One builder makes the headers of GET and HEAD.
 */
import { type ErrorDetail, errorBody, isReason, type Reason, reasonRow } from '../../registry/errors.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import type { Answer, AnswerBody, HeaderFields, Redirect, Refused, Representation } from './answer.ts';
import { type CacheKind, CACHING, cacheTags, cachingOfFound, cachingOfReason } from './cache-policy.ts';
import type { RegistryRequest } from './registry-request.ts';
import type { ReadCount } from '../storage/r2-store.ts';

/** Headers between registry and gateway; clients never see them. */
export const INNER_HEADERS = { refusal: 'gantry-refusal', facts: 'gantry-facts' } as const;

/** What the registry tells the gateway's log. */
export interface InnerFacts extends ReadCount {
  readonly form?: string;
  /** Milliseconds from request to answer. */
  readonly ms: number;
}

/** Seconds after which a client may ask again where storage did not answer. */
const RETRY_AFTER = '5';

/** Every answer of a v2 registry carries it; without it old engines take the host for a v1 registry. */
export const API_VERSION = 'registry/2.0';

/** What the gateway gets for a request. `headers` are its own, to change and to send on. */
export interface RegistryResponse {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: AnswerBody;
  /** Set where there is no representation: then the headers say how long that holds, and the gateway writes the text. */
  readonly refusal: Refused | null;
  /** null for an answer that the cache made up by itself. */
  readonly facts: InnerFacts | null;
  /** What the cache did; null where there is none. */
  readonly cache: string | null;
}

/** The registry's answer to a request, for a gateway in the same isolate. */
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
    // 307, which every client follows on GET and HEAD (308 is not known to engines from before 1.10).
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

/** The same as a response, for the cache and the gateway behind it. */
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

/** Reads the response of the registry entrypoint, or of the cache in front of it. */
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
    // The cache cuts ranges by itself, so this is its own; of everything else that is no answer nobody knows what it means.
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
  if (answer.kind === 'redirect') return 'never';
  return answer.kind === 'found' ? cachingOfFound(request) : cachingOfReason(answer.reason);
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
  if (ranges?.part !== undefined) {
    const { offset } = ranges.part;
    headers['content-range'] =
      `bytes ${String(offset)}-${String(offset + ranges.part.length - 1)}/${String(ranges.size)}`;
  }
  if (link !== undefined) headers.link = link;
  if (filtersApplied !== undefined) headers['oci-filters-applied'] = filtersApplied;
}

/** A refusal as the client gets it: the OCI error envelope, with a link to the help page on `origin`. `base`: headers to keep. */
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
    ...base,
    ...(vary !== undefined && vary.length > 0 && { vary: vary.join(', ') }),
    ...(row.status === 405 && { allow: 'GET, HEAD' }),
    ...more,
    'content-type': MEDIA_TYPES.json,
    'content-length': String(body.length),
  };
  return new Response(body, { status: row.status, headers });
}

// A header's value is Latin-1 at best; what a client sent may be anything.
function escapeNonAscii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
