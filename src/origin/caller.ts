/** Requests to a registry, with credentials after a challenge. */
import { createAuthenticator, type CredentialsProvider } from './auth.ts';
import type { NotFound } from './errors.ts';
import { type OriginResponse, explain, type OriginRequest, type Transport } from './transport.ts';

/** A request to a registry. */
export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends a request, with retries. A 404 is a {@link NotFound}; everything else goes to `use`.
 * Throws {@link import('./errors.ts').OriginError}, or the signal's reason.
 */
export type SendRequest = <T extends object>(
  request: RegistryRequest,
  use: (response: OriginResponse) => Promise<T>,
) => Promise<T | NotFound>;

/** The registry, and how to identify to it. */
export interface SenderOptions {
  readonly baseUrl: URL;
  readonly userAgent: string;
  readonly credentials?: CredentialsProvider | undefined;
}

/** Makes a sender for one registry. It caches tokens. */
export function createSender(
  transport: Transport,
  { baseUrl, credentials = null, userAgent }: SenderOptions,
): SendRequest {
  const authenticator = createAuthenticator({ registry: baseUrl, credentials, transport, userAgent });
  return ({ method, url, scope, headers, signal }, use) =>
    transport.withRetry(async () => {
      const request: OriginRequest = {
        method,
        url,
        // A proxy that compresses a blob changes its length, and `fetch` decompresses it.
        headers: { 'user-agent': userAgent, 'accept-encoding': 'identity', ...headers },
        signal,
      };
      const sent = await authenticator.authorization(scope, signal);
      let response = await transport.send({ ...request, authorization: sent });
      if (response.status === 401 && !response.redirectedAway) {
        const better = await authenticator.answer(response.headers.get('www-authenticate'), scope, sent, signal);
        if (better !== null) {
          await response.discard();
          response = await transport.send({ ...request, authorization: better });
        }
      }
      if (response.status !== 404) return use(response);
      return { kind: 'not-found' as const, ...(await explain(response)) };
    }, signal);
}
