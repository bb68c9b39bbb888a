/**
 * The two connections from the gateway to the registry: through the entrypoint, if it has a cache in front, and by
 * direct call, if it has none and the entrypoint would only cost time.
 */
import { PUBLIC_REALM } from '../../registry/realms.ts';
import { logFailure } from '../log/event.ts';
import { usesCache } from './cache-policy.ts';
import { canonicalRequest } from './canonical-request.ts';
import type { Config, Env } from '../config.ts';
import type { PurgeOutcome, RegistryPort } from '../edge.ts';
import { answerRequest, type RegistryProps } from './registry.ts';
import { readRegistryResponse, toRegistryResponse } from './registry-response.ts';

/** The registry entrypoint as the gateway calls it. */
export interface RegistryEntrypoint {
  fetch(request: Request): Promise<Response>;
  isCached(): Promise<boolean>;
  purge(cacheTags: readonly string[]): Promise<PurgeOutcome>;
}

/** The gateway's execution context. `exports`: this Worker's entrypoints (`enable_ctx_exports`). */
export interface GatewayContext {
  readonly exports?: unknown;
  waitUntil(work: Promise<unknown>): void;
}

const cachedByEnv = new WeakMap<Env, boolean>();

/**
 * Chooses the connection. Only the registry entrypoint can tell whether it has a cache, so it is called once to find
 * out.
 */
export function registryPort(config: Config, env: Env, ctx: GatewayContext): RegistryPort | Promise<RegistryPort> {
  const isCached = cachedByEnv.get(env);
  // Decided first, because reading `ctx.exports` is slow: it takes as long as all other decisions for a request.
  if (isCached === false) return directPort(config, ctx);
  const entrypoint = entrypointOf(ctx);
  if (entrypoint === null) return directPort(config, ctx);
  const port = (cached: boolean): RegistryPort =>
    cached ? portTo(entrypoint, directPort(config, ctx), config) : directPort(config, ctx);
  if (isCached !== undefined) return port(isCached);
  return detectCache(entrypoint).then((cached) => {
    if (cached !== null) cachedByEnv.set(env, cached);
    return port(cached ?? false);
  });
}

/** Whether the entrypoint has a cache in front; null if it does not say. Then requests are answered without a cache. */
async function detectCache(entrypoint: (props: RegistryProps) => RegistryEntrypoint): Promise<boolean | null> {
  try {
    return await entrypoint(NO_ACCESS).isCached();
  } catch (error) {
    reportUnknownCache(error);
    return null;
  }
}

/** The connection through the entrypoint and its cache, for requests that belong there: see {@link usesCache}. */
export function portTo(
  entrypoint: (props: RegistryProps) => RegistryEntrypoint,
  direct: Pick<RegistryPort, 'fetch'>,
  { blobCache, version }: Pick<Config, 'blobCache' | 'version'>,
): RegistryPort {
  return {
    fetch: async (request, options, props) =>
      usesCache(request, options, blobCache)
        ? readRegistryResponse(await entrypoint(props).fetch(canonicalRequest(request, options, version)))
        : direct.fetch(request, options, props),
    purge: (cacheTags) => entrypoint(NO_ACCESS).purge(cacheTags),
  };
}

/** The direct connection. It runs the same code as the entrypoint. */
export function directPort(
  { bucket, retry, realms, origins, signingKey, fillLimiter }: Config,
  ctx: Pick<GatewayContext, 'waitUntil'>,
): RegistryPort {
  const waitUntil = (work: Promise<unknown>): void => {
    ctx.waitUntil(work);
  };
  return {
    fetch: async (request, options, props) => {
      const { answer, facts } = await answerRequest(request, options, {
        bucket,
        retry,
        props,
        realms,
        origins,
        signingKey,
        fillLimiter,
        waitUntil,
      });
      return toRegistryResponse(answer, request, facts);
    },
    purge: () => Promise.resolve({ kind: 'absent' }),
  };
}

const NO_ACCESS: RegistryProps = { realm: PUBLIC_REALM, hidden: true, lists: null };

// Without the entrypoint, and where the platform throws instead of giving it, requests are answered by direct call.
function entrypointOf(ctx: GatewayContext): ((props: RegistryProps) => RegistryEntrypoint) | null {
  try {
    const registry = (
      ctx.exports as { Registry?: (options: { props: RegistryProps }) => RegistryEntrypoint } | undefined
    )?.Registry;
    return registry === undefined ? null : (props) => registry({ props });
  } catch (error) {
    reportUnknownCache(error);
    return null;
  }
}

function reportUnknownCache(error: unknown): void {
  logFailure('cache-unknown', {}, error);
}
