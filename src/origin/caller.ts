/** Requests to a registry, with credentials after a challenge. */
import { createAuthenticator, type CredentialsProvider } from './auth.ts';
import type { Budget } from './budget.ts';
import { type NotFound, OriginError, provesAbsence } from './errors.ts';
import { addressOf, type OriginResponse, explain, type OriginRequest, type Transport } from './transport.ts';

/** A request to a registry. */
export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly budget?: Budget | undefined;
  readonly redirects?: OriginRequest['redirects'];
}

/**
 * Which 404 means that something is absent. `registry`: one with the error body of a registry, since a proxy or a
 * broken server sends 404 too. `any`: each, for plain web servers.
 */
export type MissingRule = 'registry' | 'any';

/**
 * Sends a request, with retries. A 404 that proves absence is a {@link NotFound}, and any other 404 an error;
 * everything else goes to `use`. A 404 to HEAD has no body and proves nothing, so it is followed by GET. Throws {@link
 * import('./errors.ts').OriginError}, or the signal's reason.
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
  /** Default: `registry`. */
  readonly missing?: MissingRule | undefined;
}

/** Makes a sender for one registry. It caches tokens. */
export function createSender(
  transport: Transport,
  { baseUrl, credentials = null, userAgent, missing = 'registry' }: SenderOptions,
): SendRequest {
  const authenticator = createAuthenticator({ registry: baseUrl, credentials, transport, userAgent });
  return ({ method, url, scope, headers, budget, signal = budget?.signal, redirects }, use) =>
    transport.withRetry(async () => {
      const request: OriginRequest = {
        method,
        url,
        // A proxy that compresses a blob changes its length, and `fetch` decompresses it.
        headers: { 'user-agent': userAgent, 'accept-encoding': 'identity', ...headers },
        signal,
        budget,
        redirects,
      };
      const sent = await authenticator.authorization(scope, signal);
      let authorization = sent;
      let response = await transport.send({ ...request, authorization: sent });
      if (response.status === 401 && !response.redirectedAway) {
        // The request for a token, which other requests may share.
        budget?.request();
        const better = await authenticator.answer(response.headers.get('www-authenticate'), scope, sent, signal);
        if (better !== null) {
          await response.discard();
          authorization = better;
          response = await transport.send({ ...request, authorization });
        }
      }
      if (response.status === 404 && method === 'HEAD' && missing === 'registry') {
        await response.discard();
        response = await transport.send({ ...request, method: 'GET', authorization });
      }
      if (response.status !== 404) return use(response);
      const explained = await explain(response);
      if (missing === 'any' || provesAbsence(explained)) return { kind: 'not-found' as const, ...explained };
      const { code, message } = explained;
      throw new OriginError(
        'ORIGIN_PROTOCOL',
        `${addressOf(response.url)} answered 404 without a registry's error code for absence` +
          (code === undefined && message === undefined ? '' : ` (${[code, message].filter(Boolean).join(': ')})`) +
          ', so it is unknown whether this exists',
        { status: 404 },
      );
    }, signal);
}
