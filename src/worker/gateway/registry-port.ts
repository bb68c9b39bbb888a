/** The two ways from gateway to registry: through the entrypoint, where a cache stands in front of it; and straight, where none does and the detour would only cost time. */
import { PUBLIC_REALM } from '../../registry/realms.ts';
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

/** What the platform hands to the gateway: the entrypoints of this Worker, where it has them (`enable_ctx_exports`). */
export interface GatewayContext {
  readonly exports?: unknown;
  waitUntil(work: Promise<unknown>): void;
}

const cachedByEnv = new WeakMap<Env, boolean>();

/** The way to take. Whether there is a cache only the entrypoint knows, which is asked once: a gateway has none of its own to tell it by. */
export function registryPort(config: Config, env: Env, ctx: GatewayContext): RegistryPort | Promise<RegistryPort> {
  const isCached = cachedByEnv.get(env);
  // Looking at what the context exports takes as long as all else that is decided for a request.
  if (isCached === false) return directPort(config, ctx);
  const entrypoint = entrypointOf(ctx);
  if (entrypoint === null) return directPort(config, ctx);
  const port = (cached: boolean): RegistryPort => (cached ? portTo(entrypoint) : directPort(config, ctx));
  if (isCached !== undefined) return port(isCached);
  return entrypoint(NO_ACCESS)
    .isCached()
    .then((cached) => {
      cachedByEnv.set(env, cached);
      return port(cached);
    });
}

/** Through the entrypoint. */
export function portTo(entrypoint: (props: RegistryProps) => RegistryEntrypoint): RegistryPort {
  return {
    fetch: async (request, options, props) =>
      readRegistryResponse(await entrypoint(props).fetch(canonicalRequest(request, options))),
    purge: (cacheTags) => entrypoint(NO_ACCESS).purge(cacheTags),
  };
}

/** Straight. The answers are those of the entrypoint: the same code makes them. */
export function directPort(
  { bucket, retry, realms, origins, signingKey }: Config,
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
        cached: false,
        waitUntil,
      });
      return toRegistryResponse(answer, request, facts);
    },
    purge: () => Promise.resolve({ kind: 'absent' }),
  };
}

const NO_ACCESS: RegistryProps = { realm: PUBLIC_REALM, hidden: true, lists: null };

function entrypointOf({ exports }: GatewayContext): ((props: RegistryProps) => RegistryEntrypoint) | null {
  const registry = (exports as { Registry?: (options: { props: RegistryProps }) => RegistryEntrypoint } | undefined)
    ?.Registry;
  return registry === undefined ? null : (props) => registry({ props });
}
