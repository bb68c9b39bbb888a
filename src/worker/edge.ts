import type { RegistryRequest, RequestOptions } from './gateway/registry-request.ts';
import type { Config } from './config.ts';
import type { RegistryProps } from './gateway/registry.ts';
import type { RegistryResponse } from './gateway/registry-response.ts';
import type { Trace } from './log/trace.ts';

/** The result of a purge. `absent`: there is no cache, as in local development;
 * `limited`: Cloudflare accepts no more purges for now. */
export type PurgeOutcome =
  | { readonly kind: 'purged' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed' | 'limited'; readonly message: string };

/** The registry as the gateway calls it, with or without a cache between them. */
export interface RegistryPort {
  /** Answers a request. Storage errors become responses too. */
  fetch(request: RegistryRequest, options: RequestOptions, props: RegistryProps): Promise<RegistryResponse>;
  /**
   * Purges by cache tags. Only the registry entrypoint can: a purge reaches the cache of the calling entrypoint alone.
   */
  purge(cacheTags: readonly string[]): Promise<PurgeOutcome>;
}

/** The bindings of the gateway's handlers: one object for each request. */
export interface Edge {
  readonly config: Config;
  readonly registry: RegistryPort;
  readonly trace: Trace;
}
