/** The Worker as a client sees it, over any bucket and with any settings. */
import { env, exports } from 'cloudflare:workers';
import { createExecutionContext } from 'cloudflare:test';
import { configOf, serve } from '../../src/worker/serve.ts';
import type { Config, Env } from '../../src/worker/config.ts';
import type { RegistryPort } from '../../src/worker/edge.ts';
import { purgeCache } from '../../src/worker/endpoints/purge-cache.ts';
import { directPort, portTo, type RegistryEntrypoint } from '../../src/worker/gateway/registry-port.ts';
import { type RegistryProps, serveRegistry } from '../../src/worker/gateway/registry.ts';
import { R2_RETRY, type StorageRetryPolicy } from '../../src/bucket/retry.ts';
import { WorkersCache, type WorkersCacheOptions } from './workers-cache.ts';

export const ORIGIN = 'https://registry.example';

/** Sends a request. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response>;

/** Settings beside the bucket. */
export interface EdgeOptions {
  readonly vars?: Omit<Env, 'BUCKET'> & Readonly<Record<`TOKENS_${string}`, string>>;
  readonly retry?: Partial<StorageRetryPolicy>;
  /** Stands in for `request.cf`. */
  readonly cf?: Record<string, unknown>;
}

/** `request.cf` of a client with a certificate of that subject that the platform found right. */
export function certificateOf(subject: string): Record<string, unknown> {
  return {
    tlsClientAuth: {
      certPresented: '1',
      certVerified: 'SUCCESS',
      certRevoked: '0',
      certFingerprintSHA256: '00'.repeat(32),
      certSubjectDNRFC2253: subject,
      certIssuerDNRFC2253: 'CN=CA',
    },
  };
}

/** Set for suites that run once more behind the cache: see vitest.config.ts. */
const IS_BEHIND_CACHE = (env as unknown as { BEHIND_CACHE?: string }).BEHIND_CACHE === 'on';

/** A gateway that calls the registry's code, as it does where there is no cache; see {@link IS_BEHIND_CACHE}. */
export function directEdge(bucket: R2Bucket, options: EdgeOptions = {}): Ask {
  if (IS_BEHIND_CACHE) return behindCache(bucket, { ...options, vars: { BLOB_CACHE: 'on', ...options.vars } });
  const read = configOver(bucket, options);
  return async (path, init) => {
    const ctx = createExecutionContext();
    return serve(requestOf(path, init, options.cf), read, (config) => directPort(config, ctx), ctx);
  };
}

/** The configuration with these settings; read once, with the first request. */
function configOver(bucket: R2Bucket, { vars = {}, retry = {} }: EdgeOptions): () => Config {
  const settings: Env = { LOG: 'failures', ...vars, BUCKET: bucket };
  return () => ({ ...configOf(settings), retry: { ...R2_RETRY, ...retry } });
}

/** What stands between gateway and registry entrypoint: gets the canonical request and a way to ask the registry. */
export type Between = (
  request: Request,
  call: (request?: Request) => Promise<Response>,
  props: RegistryProps,
) => Promise<Response>;

/** The same over the entrypoint's seam, as if a cache were in front of it. */
export function cachedEdge(
  bucket: R2Bucket,
  options: EdgeOptions = {},
  between: Between = (_, call) => call(),
  purge: RegistryEntrypoint['purge'] = () => Promise.resolve({ kind: 'purged' }),
): Ask {
  const read = configOver(bucket, options);
  const entrypoint = (props: RegistryProps): RegistryEntrypoint => ({
    isCached: () => Promise.resolve(true),
    purge,
    fetch: (request) => {
      const context = { ...read(), props, waitUntil: () => undefined };
      return between(request, (asked = request) => serveRegistry(asked, context), props);
    },
  });
  return async (path, init) => {
    const ctx = createExecutionContext();
    const port = (config: Config): RegistryPort => portTo(entrypoint, directPort(config, ctx), config);
    return serve(requestOf(path, init, options.cf), read, port, ctx);
  };
}

/**
 * The same behind a cache that does what Workers Cache is documented to do. `version`: id of the Worker's version.
 * Edges over the same cache are versions of one Worker.
 */
export function behindCache(
  bucket: R2Bucket,
  options: EdgeOptions = {},
  cache = new WorkersCache(CACHE_SETTINGS),
  version = 'first',
): Ask {
  return cachedEdge(
    bucket,
    { ...options, vars: { ...options.vars, VERSION: { id: version } } },
    (request, call, props) => cache.fetch(request, { entrypoint: 'Registry', props, version }, call),
    (tags) => purgeCache({ purge: (purge) => cache.purge(purge, 'Registry') }, tags),
  );
}

/** What wrangler.toml sets of the cache. */
export const CACHE_SETTINGS = { crossVersion: true } as const satisfies WorkersCacheOptions;

/** Largest body that the small cache of {@link waysTo} stores, in bytes: less than any manifest or blob of a test. */
const NEXT_TO_NOTHING = 8;

/** Every way to the registry's code. Each must give every client the same answer. */
export function waysTo(bucket: R2Bucket): readonly (readonly [string, Ask])[] {
  const vars = { BLOB_CACHE: 'on' };
  const small = new WorkersCache({ ...CACHE_SETTINGS, maxBytes: NEXT_TO_NOTHING });
  return [
    ['straight', directEdge(bucket)],
    ['behind a cache', behindCache(bucket)],
    ['behind a cache, blobs too', behindCache(bucket, { vars })],
    ['behind a warm cache, blobs too', warm(behindCache(bucket, { vars }))],
    ['behind a cache that is too small for everything', behindCache(bucket, { vars }, small)],
  ];
}

/** The same, and the two ways that only the Worker's own bucket has. */
export function allWaysTo(bucket: R2Bucket): readonly (readonly [string, Ask])[] {
  return [...waysTo(bucket), ['through ctx.exports', exportsEdge], ['as deployed', deployedEdge]];
}

/** Asks everything twice, and gives the second answer: what a cache has stored, where it may. */
export function warm(ask: Ask): Ask {
  return async (path, init) => {
    await (await ask(path, init)).arrayBuffer();
    return ask(path, init);
  };
}

/**
 * A gateway that goes through the real entrypoint, as it does where a cache stands in front of that: here without one.
 */
export const exportsEdge: Ask = (path, init) => {
  const { Registry } = exports as unknown as { Registry: (options: { props: RegistryProps }) => RegistryEntrypoint };
  const { BUCKET } = env as unknown as Env;
  const ctx = createExecutionContext();
  return serve(
    requestOf(path, init),
    () => configOf({ BUCKET, LOG: 'failures', BLOB_CACHE: 'on' }),
    (config) => portTo((props) => Registry({ props }), directPort(config, ctx), config),
    ctx,
  );
};

/** The Worker as it is deployed: its own bucket, its own settings, its entrypoints. */
export const deployedEdge: Ask = async (path, init) => {
  const { default: gateway } = exports as unknown as { default: Fetcher };
  return gateway.fetch(requestOf(path, init));
};

function requestOf(
  path: string,
  init: RequestInit = {},
  cf?: Record<string, unknown>,
): Request<unknown, IncomingRequestCfProperties> {
  return new Request(ORIGIN + path, { redirect: 'manual', ...init, ...(cf && { cf }) }) as Request<
    unknown,
    IncomingRequestCfProperties
  >;
}

/** The first error of an OCI error body. */
export async function errorOf(
  response: Response,
): Promise<{ code: string; message: string; detail: Record<string, unknown> }> {
  const { errors } = await response.json<{
    errors: { code: string; message: string; detail: Record<string, unknown> }[];
  }>();
  const [first] = errors;
  if (first === undefined) throw new Error('the body has no error');
  return first;
}

/**
 * Headers that must be the same on GET and HEAD: all but those of the one request. `Age`: only what is stored has one.
 */
export function comparable(response: Response): [string, string][] {
  return [...response.headers].filter(([name]) => !['x-request-id', 'server-timing', 'age'].includes(name));
}
