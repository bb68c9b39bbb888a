/** `fetch` through the proxies that the environment names. Loaded only where there are any. */
import { EnvHttpProxyAgent, fetch, type RequestInit } from 'undici';
import type { HttpFetch } from './http-fetch.ts';

/** Makes one. `noProxy`: hosts to go to directly, as in `NO_PROXY`. `connectMs`: how long a connection may take to be made. */
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
      // The package's Response is that of Node's own fetch, declared a second time.
      return fetch(url, request);
    },
    close: () => agent.destroy(),
  };
}
