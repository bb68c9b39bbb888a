/**
 * The Worker behind the stand-in for Workers Cache, which is not to be had locally: a module of its own, for servers
 * that need one. Storage is asked as it would be behind the cache. `POST /-/forget` empties the cache, `POST /-/deploy`
 * makes this the next version of the Worker, and the variable CACHE_MAX_BYTES limits what is stored.
 */
import type { Env } from '../../src/worker/config.ts';
import { purgeCache } from '../../src/worker/endpoints/purge-cache.ts';
import { serveRegistry } from '../../src/worker/gateway/registry.ts';
import { directPort, portTo, type RegistryEntrypoint } from '../../src/worker/gateway/registry-port.ts';
import { configOf, serve } from '../../src/worker/serve.ts';
import { WorkersCache } from './workers-cache.ts';

type Settings = Env & { readonly CACHE_MAX_BYTES?: string };

let cache: WorkersCache | undefined;
let version = 1;

export default {
  async fetch(request, env, ctx) {
    // What wrangler.toml sets of the cache.
    const own = (cache ??= new WorkersCache({
      crossVersion: true,
      ...(env.CACHE_MAX_BYTES !== undefined && { maxBytes: Number(env.CACHE_MAX_BYTES) }),
    }));
    const { pathname } = new URL(request.url);
    if (request.method === 'POST' && (pathname === '/-/forget' || pathname === '/-/deploy')) {
      if (pathname === '/-/forget') own.clear();
      else version += 1;
      return new Response(null, { status: 204 });
    }
    const config = { ...configOf(env), version: `version-${String(version)}` };
    const waitUntil = (work: Promise<unknown>): void => ctx.waitUntil(work);
    const entrypoint: Parameters<typeof portTo>[0] = (props): RegistryEntrypoint => ({
      isCached: () => Promise.resolve(true),
      purge: (tags) => purgeCache({ purge: (purge) => own.purge(purge, 'Registry') }, tags),
      fetch: (inner) =>
        own.fetch(
          inner,
          { entrypoint: 'Registry', props, version: config.version },
          (asked) => serveRegistry(asked, { ...config, props, waitUntil }),
          waitUntil,
        ),
    });
    return serve(
      request,
      () => config,
      () => portTo(entrypoint, directPort(config, ctx), config),
      ctx,
    );
  },
} satisfies ExportedHandler<Settings>;
