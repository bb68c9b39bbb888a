import { normalizeAccept, normalizeUserAgent } from '../../manifest/negotiate.ts';
import { type RegistryRequest, type RequestOptions, urlOf } from './registry-request.ts';

/**
 * The request to the registry entrypoint in canonical form, so that requests with the same answer share a cache entry.
 * A few normalized values of `Accept` and `User-Agent` represent all clients, and give the same result in negotiation.
 * `version`: see {@link urlOf}.
 */
export function canonicalRequest(
  request: RegistryRequest,
  { head, accept, userAgent }: RequestOptions,
  version: string | null,
): Request {
  const headers = new Headers();
  const [normalAccept, normalUserAgent] = [normalizeAccept(accept), normalizeUserAgent({ accept, userAgent })];
  if (normalAccept !== null) headers.set('accept', normalAccept);
  if (normalUserAgent !== null) headers.set('user-agent', normalUserAgent);
  // Redirects are passed on to the client.
  return new Request(urlOf(request, version), { method: head ? 'HEAD' : 'GET', headers, redirect: 'manual' });
}
