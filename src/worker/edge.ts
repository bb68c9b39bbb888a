import type { RegistryRequest, RequestOptions } from './gateway/registry-request.ts';
import type { Config } from './config.ts';
import type { RegistryProps } from './gateway/registry.ts';
import type { RegistryResponse } from './gateway/registry-response.ts';
import type { Trace } from './log/trace.ts';

/** What a purge came to. `absent`: there is no cache here, as in local development. */
export type PurgeOutcome =
  { readonly kind: 'purged' } | { readonly kind: 'absent' } | { readonly kind: 'failed'; readonly message: string };

/** The registry as the gateway sees it, with or without a cache between them. */
export interface RegistryPort {
  /** Answers; storage faults are answers too. */
  fetch(request: RegistryRequest, options: RequestOptions, props: RegistryProps): Promise<RegistryResponse>;
  /** Purges by cache tags. It is called there since a purge reaches only the cache of the entrypoint that asks for it. */
  purge(cacheTags: readonly string[]): Promise<PurgeOutcome>;
}

/** What the gateway's handlers work with; one object a request. */
export interface Edge {
  readonly config: Config;
  readonly registry: RegistryPort;
  readonly trace: Trace;
}
