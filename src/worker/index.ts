/** The Worker's entrypoints. */
import { WorkerEntrypoint } from 'cloudflare:workers';
import type { Env } from './config.ts';
import type { PurgeOutcome } from './edge.ts';
import { purgeCache } from './endpoints/purge-cache.ts';
import { type RegistryProps, serveRegistry } from './gateway/registry.ts';
import { registryPort } from './gateway/registry-port.ts';
import { reportLostRealms } from './access/lost-realms.ts';
import { configOf, serve } from './serve.ts';

/** The gateway, which clients reach. It has no cache in front. */
export default {
  fetch: (request, env, ctx) =>
    serve(
      request,
      () => configOf(env),
      (config) => {
        if (!checked.has(env)) {
          checked.add(env);
          ctx.waitUntil(reportLostRealms(config));
        }
        return registryPort(config, env, ctx);
      },
      ctx,
    ),
} satisfies ExportedHandler<Env>;

/** Environments whose realm table was compared with the bucket's record. */
const checked = new WeakSet<Env>();

/** The registry, which only the gateway reaches. It has a cache in front. */
export class Registry extends WorkerEntrypoint<Env, RegistryProps> {
  override fetch(request: Request): Promise<Response> {
    const { props } = this.ctx;
    const waitUntil = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
    return serveRegistry(request, { ...configOf(this.env), props, waitUntil });
  }

  /** Whether a cache is in front. Without Workers Cache there is none, as in local development. */
  isCached(): boolean {
    // It may throw where the platform has no cache for this plan or zone: the gateway then answers without one.
    return this.ctx.cache !== undefined;
  }

  /** Purges the cache in front. */
  purge(cacheTags: readonly string[]): Promise<PurgeOutcome> {
    return purgeCache(this.ctx.cache, cacheTags);
  }
}
