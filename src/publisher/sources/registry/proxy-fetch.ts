/** `fetch` through the proxies of the environment. It is loaded only if there are any. */
import { EnvHttpProxyAgent, fetch, type RequestInit } from 'undici';
import type { HttpFetch } from './http-fetch.ts';

/**
 * Creates a fetch. `noProxy` lists hosts without a proxy, as `NO_PROXY` does. `connectMs` is the connection timeout.
 */
export function createProxyFetch(options: {
  readonly rejectUnauthorized: boolean;
  readonly connectMs: number;
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
}): HttpFetch {
  const { rejectUnauthorized, connectMs, httpProxy, httpsProxy, noProxy } = options;
  const agent = new EnvHttpProxyAgent({
    connect: { rejectUnauthorized, timeout: connectMs },
    requestTls: { rejectUnauthorized },
    httpProxy,
    httpsProxy,
    noProxy,
  });
  return {
    fetch: async (url, init) => {
      const request: RequestInit = { ...init, dispatcher: agent };
      // The package declares its own Response type; it is the same as that of Node's fetch.
      return fetch(url, request);
    },
    close: () => agent.destroy(),
  };
}
