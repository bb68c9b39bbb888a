import { normalizeAccept, normalizeUserAgent } from '../../manifest/negotiate.ts';
import { type RegistryRequest, type RequestOptions, urlOf } from './registry-request.ts';

/** The header with the client's address, by which fills are limited. */
export const CLIENT_HEADER = 'gantry-client';

/**
 * The request to the registry entrypoint in canonical form, so that requests with the same answer share a cache entry.
 * A few normalized values of `Accept` and `User-Agent` represent all clients, and give the same result in negotiation.
 * `version`: see {@link urlOf}.
 */
export function canonicalRequest(
  request: RegistryRequest,
  { head, accept, userAgent, client }: RequestOptions,
  version: string | null,
): Request {
  const headers = new Headers();
  const [normalAccept, normalUserAgent] = [normalizeAccept(accept), normalizeUserAgent({ accept, userAgent })];
  if (normalAccept !== null) headers.set('accept', normalAccept);
  if (normalUserAgent !== null) headers.set('user-agent', normalUserAgent);
  // A cache passes it on, and it is no part of the key, because no answer varies by it.
  if (client !== undefined && client !== null) headers.set(CLIENT_HEADER, client);
  // Redirects are passed on to the client.
  return new Request(urlOf(request, version), { method: head ? 'HEAD' : 'GET', headers, redirect: 'manual' });
}
