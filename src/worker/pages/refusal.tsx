/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** Pages for refusals: of pages, and of everything else that a browser opens. */
import { isReason, reasonRow } from '../../registry/errors.ts';
import type { Config } from '../config.ts';
import type { Refused } from '../gateway/answer.ts';
import { CACHING } from '../gateway/cache-policy.ts';
import { type EdgeContext, publicOrigin } from '../gateway/edge-context.ts';
import { listOf, objectOf, parseJson, textOf } from '../../registry/values/json.ts';
import { pageResponse } from './page-response.ts';
import { refusalLinks } from './refusal-links.ts';
import type { Place } from './views/layout.tsx';
import { RefusalPage } from './views/refusal-page.tsx';

/** The page for a refusal, as a response. */
export function refusalPage(context: EdgeContext, { reason, message, headers }: Refused): Promise<Response> {
  context.env.trace.reason = reason;
  const { status, caching } = reasonRow(reason);
  const place = placeAt(publicOrigin(context));
  const links = refusalLinks(new URL(context.req.url).pathname, reason);
  const page = <RefusalPage reason={reason} message={message} links={links} place={place} />;
  return pageResponse(page, status, caching, { ...(status === 503 && { 'retry-after': '5' }), ...headers });
}

/** The host as clients write it in commands. `origin`: scheme and host. */
export function placeAt(origin: string): Place {
  const { host, protocol } = new URL(origin);
  return { host, isPlain: protocol === 'http:', now: new Date() };
}

/** Headers of an error body, or of its copies in shared caches, which a page of its own does not keep. */
const BODY_HEADERS = ['content-length', 'etag', 'cdn-cache-control', 'cloudflare-cdn-cache-control', 'cache-tag'];

/**
 * The page for an error response to a browser: the same status and headers, for people. A response that is not an error
 * body of the registry stays as it is. No cache stores the page: the address has a JSON body for clients.
 */
export async function pageOfError(request: Request, response: Response, config: Config): Promise<Response> {
  const isHead = request.method === 'HEAD';
  if (!isHead && request.method !== 'GET') return response;
  if (!(response.headers.get('content-type') ?? '').startsWith('application/json')) return response;
  const body = new Uint8Array(await response.arrayBuffer());
  const [error] = listOf(objectOf(parseJson(body)).errors).map(objectOf);
  // The headers of a page do not depend on its reason.
  const reason = isHead ? 'endpoint-unknown' : objectOf(error?.detail).reason;
  if (typeof reason !== 'string' || !isReason(reason)) return new Response(body, response);
  const url = new URL(request.url);
  const page = (
    <RefusalPage
      reason={reason}
      message={textOf(error?.message) ?? undefined}
      links={refusalLinks(url.pathname, reason)}
      place={placeAt(config.publicUrl ?? url.origin)}
    />
  );
  const kept = Object.fromEntries(response.headers);
  for (const name of BODY_HEADERS) Reflect.deleteProperty(kept, name);
  const made = await pageResponse(page, response.status, 'never');
  const vary = [response.headers.get('vary'), 'Accept'].filter((value) => value !== null).join(', ');
  const headers = { ...kept, ...Object.fromEntries(made.headers), 'cache-control': CACHING.never.cacheControl, vary };
  // RFC 9110, section 9.3.2: HEAD may leave out what only making the content tells.
  if (isHead) Reflect.deleteProperty(headers, 'content-length');
  return new Response(isHead ? null : made.body, { status: response.status, headers });
}
