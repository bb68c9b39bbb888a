/**
 * Answers as responses. Between registry and gateway a refusal travels without a body, as a header, since its text names the host that the client asked and a cached
 * answer must not; the gateway writes the text. One builder makes the headers of GET and HEAD.
 */
import { type ErrorDetail, errorBody, isReason, type Reason, reasonRow } from '../registry/errors.ts';
import { MEDIA_TYPES } from '../registry/media-type.ts';
import type { Answer, Refused, Representation } from './answer.ts';
import { CACHING, cacheTags, cachingOfFound, cachingOfReason } from './cache-policy.ts';
import type { Question } from './question.ts';
import type { ReadCount } from './r2-store.ts';

/** Headers between registry and gateway; clients never see them. */
export const INNER_HEADERS = { refusal: 'gantry-refusal', facts: 'gantry-facts' } as const;

/** Headers for the cache between registry and gateway, which takes them away; where there is none the gateway does. */
export const EDGE_CACHE_HEADERS = ['cloudflare-cdn-cache-control', 'cache-tag'] as const;

/** What the registry tells the gateway's log. */
export interface InnerFacts extends ReadCount {
  readonly form?: string;
  /** Milliseconds from question to answer. */
  readonly ms: number;
}

/** Seconds after which a client may ask again where storage did not answer. */
const RETRY_AFTER = '5';

/** Every answer of a v2 registry carries it; without it old engines take the host for a v1 registry. */
export const API_VERSION = { 'docker-distribution-api-version': 'registry/2.0' } as const;

/** The registry's response to a question. */
export function respond(answer: Answer, question: Question, facts: InnerFacts): Response {
  const caching = CACHING[answer.kind === 'found' ? cachingOfFound(question) : cachingOfReason(answer.reason)];
  const headers = new Headers({
    'cache-control': caching.cacheControl,
    'cloudflare-cdn-cache-control': caching.edgeCacheControl,
    'cache-tag': cacheTags(question),
    [INNER_HEADERS.facts]: ascii(JSON.stringify(facts)),
  });
  if (answer.vary !== undefined && answer.vary.length > 0) headers.set('vary', answer.vary.join(', '));
  if (answer.kind === 'refused') {
    const { reason, message, detail, headers: more = {} } = answer;
    headers.set(INNER_HEADERS.refusal, ascii(JSON.stringify({ reason, message, detail })));
    for (const [name, value] of Object.entries(more)) headers.set(name, value);
    return new Response(null, { status: reasonRow(reason).status, headers });
  }
  for (const [name, value] of representationHeaders(answer.representation)) headers.set(name, value);
  return new Response(answer.body, { status: answer.representation.ranges?.part === undefined ? 200 : 206, headers });
}

function representationHeaders({ contentType, length, etag, digest, ranges, link, filtersApplied }: Representation): readonly [string, string][] {
  const headers: [string, string][] = [
    ['content-type', contentType],
    ['content-length', String(length)],
    ['etag', etag],
  ];
  if (digest !== undefined) headers.push(['docker-content-digest', digest]);
  if (ranges !== undefined) headers.push(['accept-ranges', 'bytes']);
  if (ranges?.part !== undefined) {
    const { offset } = ranges.part;
    headers.push(['content-range', `bytes ${String(offset)}-${String(offset + ranges.part.length - 1)}/${String(ranges.size)}`]);
  }
  if (link !== undefined) headers.push(['link', link]);
  if (filtersApplied !== undefined) headers.push(['oci-filters-applied', filtersApplied]);
  return headers;
}

/** What the registry's response refuses, or null if it does not. */
export function refusalOf(response: Response): Refused | null {
  const text = response.headers.get(INNER_HEADERS.refusal);
  if (text === null) return null;
  const { reason, message, detail } = JSON.parse(text) as { reason: string; message?: string; detail?: ErrorDetail };
  const known: Reason = isReason(reason) ? reason : 'internal';
  return { kind: 'refused', reason: known, ...(message !== undefined && { message }), ...(detail !== undefined && { detail }) };
}

/** What the registry's response says for the log; null for a response that is none of its own. */
export function factsOf(response: Response): InnerFacts | null {
  const text = response.headers.get(INNER_HEADERS.facts);
  return text === null ? null : (JSON.parse(text) as InnerFacts);
}

/** A refusal as the client gets it: the OCI error envelope, with a link to the help page on `origin`. `base`: headers to keep. */
export function refuse({ reason, message, detail, vary, headers: more = {} }: Refused, origin: string, base?: Headers): Response {
  const row = reasonRow(reason);
  const body = new TextEncoder().encode(
    errorBody(reason, { origin, ...(message !== undefined && { message }), ...(detail !== undefined && { detail }) }),
  );
  const headers = new Headers(base);
  if (!headers.has('cache-control')) headers.set('cache-control', CACHING[row.caching].cacheControl);
  if (vary !== undefined && vary.length > 0) headers.set('vary', vary.join(', '));
  if (row.status === 405) headers.set('allow', 'GET, HEAD');
  if (row.status === 503 && !headers.has('retry-after')) headers.set('retry-after', RETRY_AFTER);
  for (const [name, value] of Object.entries(more)) headers.set(name, value);
  headers.set('content-type', MEDIA_TYPES.json);
  headers.set('content-length', String(body.length));
  return new Response(body, { status: row.status, headers });
}

// A header's value is Latin-1 at best; what a client sent may be anything.
function ascii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
