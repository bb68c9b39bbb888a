/**
 * The Worker behind a stand-in for Workers Cache, which is not to be had locally: a module of its own for the
 * benchmark, which counts what storage is asked once a cache has been filled. It keeps what Workers Cache would, by the
 * same key (entrypoint's URL and props, `Vary` compared verbatim) and for GET and HEAD alike, until `POST /-/forget`.
 */
import type { Env } from '../../src/worker/config.ts';
import { serveRegistry } from '../../src/worker/gateway/registry.ts';
import { directPort, portTo, type RegistryEntrypoint } from '../../src/worker/gateway/registry-port.ts';
import { configOf, serve } from '../../src/worker/serve.ts';

/** Bytes of the longest body that is kept: the limit of the Free plan. */
const KEPT_UP_TO = 512_000_000;

// Bytes, not responses: a body belongs to the request that it came with.
interface Kept {
  /** Request headers that `Vary` names, and their values when this was stored. */
  readonly vary: readonly (readonly [string, string | null])[];
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: ArrayBuffer | null;
}

const kept = new Map<string, Kept[]>();

export default {
  async fetch(request, env, ctx) {
    if (request.method === 'POST' && request.url.endsWith('/-/forget')) {
      kept.clear();
      return new Response(null, { status: 204 });
    }
    const entrypoint: Parameters<typeof portTo>[0] = (props): RegistryEntrypoint => ({
      isCached: () => Promise.resolve(true),
      purge: () => Promise.resolve({ kind: 'absent' }),
      fetch: (inner) => {
        const waitUntil = (work: Promise<unknown>): void => ctx.waitUntil(work);
        return throughCache(inner, `${inner.url} ${JSON.stringify(props)}`, (asked) =>
          serveRegistry(asked, { ...configOf(env), props, waitUntil }),
        );
      },
    });
    return serve(
      request,
      () => configOf(env),
      (config) => portTo(entrypoint, directPort(config, ctx), config.blobCache),
      ctx,
    );
  },
} satisfies ExportedHandler<Env>;

async function throughCache(
  request: Request,
  key: string,
  answer: (request: Request) => Promise<Response>,
): Promise<Response> {
  const variants = kept.get(key) ?? [];
  const hit = variants.find(({ vary }) => vary.every(([name, value]) => request.headers.get(name) === value));
  if (hit !== undefined) return say(request, hit, 'HIT');
  // A HEAD that misses asks the entrypoint as GET.
  const response = await answer(new Request(request, { method: 'GET' }));
  const control = response.headers.get('cloudflare-cdn-cache-control') ?? '';
  const isKept =
    /max-age=[1-9]/.test(control) &&
    response.status !== 206 &&
    Number(response.headers.get('content-length') ?? 0) <= KEPT_UP_TO;
  if (!isKept) return say(request, response, 'BYPASS');
  const names = (response.headers.get('vary') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const whole: Kept = {
    vary: names.map((name) => [name, request.headers.get(name)] as const),
    status: response.status,
    headers: [...response.headers],
    body: response.body === null ? null : await response.arrayBuffer(),
  };
  kept.set(key, [...variants, whole]);
  return say(request, whole, 'MISS');
}

function say(
  request: Request,
  { status, headers: stored, body }: Kept | Response,
  outcome: 'HIT' | 'MISS' | 'BYPASS',
): Response {
  const headers = new Headers(stored as HeadersInit);
  headers.set('cf-cache-status', outcome);
  return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}
