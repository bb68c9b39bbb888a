/**
 * A stand-in for Workers Cache, which runs nowhere but at Cloudflare. It does what Cloudflare's documentation says
 * (developers.cloudflare.com/workers/cache/, read in November 2026), not what would suit Gantry; each rule names its
 * page. Where no page says what happens, it does the worse of the two. Tiers and request collapsing are left out: they
 * change how often the Worker is called, and never an answer.
 */

/** How this cache differs from the default. */
export interface WorkersCacheOptions {
  /** Largest body that is stored, in bytes: 512 MB for every plan at launch (page *Limitations*, "Response size"). */
  readonly maxBytes?: number;
  /** `cross_version_cache`: the version is no part of the key (page *Configuration*, "Cross-version caching"). */
  readonly crossVersion?: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** What is called behind the cache. All of it is a part of the key (page *Cache keys*). */
export interface Callee {
  readonly entrypoint: string;
  readonly props: unknown;
  readonly version: string;
}

/** A purge, as `ctx.cache.purge` takes it. */
export interface Purge {
  readonly tags?: readonly string[];
  readonly pathPrefixes?: readonly string[];
  readonly purgeEverything?: boolean;
}

/** Its result (page *Purging the cache*, "Return value"). No page gives the codes and messages. */
export interface PurgeResult {
  readonly success: boolean;
  readonly errors: { readonly code: number; readonly message: string }[];
}

// Bytes, not responses: in workerd a body belongs to the request that it came with.
interface Stored {
  readonly entrypoint: string;
  readonly path: string;
  /** Request headers that `Vary` names, and their values when this was stored. */
  readonly vary: readonly (readonly [string, string | null])[];
  readonly tags: ReadonlySet<string>;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly storedAt: number;
  readonly lifetime: Lifetime;
}

/** In milliseconds; the two stale times begin when the fresh one ends. */
interface Lifetime {
  readonly fresh: number;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
}

type Status = 'HIT' | 'MISS' | 'EXPIRED' | 'UPDATING' | 'STALE' | 'BYPASS' | 'DYNAMIC';

/** Request headers in the key against cache poisoning (page *Cache keys*, "What goes into the cache key"). */
const KEY_HEADERS = [
  ...['x-http-method-override', 'x-http-method', 'x-method-override', 'x-forwarded-host', 'x-host'],
  ...['x-forwarded-scheme', 'x-original-url', 'x-rewrite-url', 'forwarded', 'cloudflare-workers-version-key'],
];

/** Seconds that an answer without Cache-Control is fresh (page *Configuration*, "Cache-Control semantics"). */
const DEFAULT_SECONDS: Readonly<Record<number, number>> = {
  ...{ 200: 7_200, 203: 7_200, 204: 7_200, 300: 1_200, 301: 1_200 },
  ...{ 404: 180, 405: 60, 410: 180, 414: 60, 501: 60 },
};

/** Most tags that one purge names (page *Purge cache*, "Availability and limits", Free). */
const OPERATIONS_MAX = 100;

/** Purges at once, and further ones a minute, for the account (same page; *Limitations*, "Purge rate limits"). */
const BUCKET_SIZE = 25;
const PURGES_A_MINUTE = 5;

/** One account's cache in front of a Worker's entrypoints. */
export class WorkersCache {
  readonly #stored = new Map<string, Stored[]>();
  readonly #maxBytes: number;
  readonly #crossVersion: boolean;
  readonly #now: () => number;
  #purges = BUCKET_SIZE;
  #refilledAt: number;

  constructor({ maxBytes = 512_000_000, crossVersion = false, now = Date.now }: WorkersCacheOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#crossVersion = crossVersion;
    this.#now = now;
    this.#refilledAt = now();
  }

  /** Answers from the cache, or calls the Worker. `waitUntil` gets refreshments in the background. */
  async fetch(
    request: Request,
    callee: Callee,
    call: (request: Request) => Promise<Response>,
    waitUntil: (work: Promise<unknown>) => void = () => undefined,
  ): Promise<Response> {
    // Only GET and HEAD are cached, and no upgrades (page *Limitations*, "HTTP methods", "WebSocket upgrades").
    const isUpgrade = request.headers.get('upgrade')?.toLowerCase() === 'websocket';
    if ((request.method !== 'GET' && request.method !== 'HEAD') || isUpgrade) {
      return this.#deliver(request, await call(request), 'BYPASS');
    }
    const key = this.#keyOf(request, callee);
    const known = this.#stored
      .get(key)
      ?.find(({ vary }) => vary.every(([name, value]) => request.headers.get(name) === value));
    const age = known === undefined ? Infinity : this.#now() - known.storedAt;
    if (known !== undefined && age < known.lifetime.fresh) return this.#deliver(request, known, 'HIT');
    if (known !== undefined && age < known.lifetime.fresh + known.lifetime.staleWhileRevalidate) {
      waitUntil(this.#fill(request, callee, key, call));
      return this.#deliver(request, known, 'UPDATING');
    }
    const mayBeStale = known !== undefined && age < known.lifetime.fresh + known.lifetime.staleIfError;
    try {
      const [answer, status] = await this.#fill(request, callee, key, call, mayBeStale);
      if (mayBeStale && answer.status >= 500) {
        if (answer instanceof Response) await answer.body?.cancel();
        return this.#deliver(request, known, 'STALE');
      }
      return this.#deliver(request, answer, status === 'MISS' && known !== undefined ? 'EXPIRED' : status);
    } catch (error) {
      if (mayBeStale) return this.#deliver(request, known, 'STALE');
      throw error;
    }
  }

  /** Purges what the calling entrypoint stored (page *Purging the cache*). */
  purge({ tags = [], pathPrefixes = [], purgeEverything = false }: Purge, entrypoint: string): Promise<PurgeResult> {
    const fail = (code: number, message: string): Promise<PurgeResult> =>
      Promise.resolve({ success: false, errors: [{ code, message }] });
    const operations = tags.length + pathPrefixes.length;
    if (purgeEverything === operations > 0) return fail(1, 'Purge either everything, or tags and path prefixes.');
    if (operations > OPERATIONS_MAX) return fail(2, `At most ${String(OPERATIONS_MAX)} operations a purge.`);
    const refill = ((this.#now() - this.#refilledAt) / 60_000) * PURGES_A_MINUTE;
    this.#purges = Math.min(BUCKET_SIZE, this.#purges + refill);
    this.#refilledAt = this.#now();
    if (this.#purges < 1) return fail(3, 'Rate limit exceeded.');
    this.#purges -= 1;
    // Tags ignore case. Every variant of a URL goes with any of them ("Vary": variants share one purge identity).
    const purged = new Set(tags.map((tag) => tag.toLowerCase()));
    for (const [key, variants] of this.#stored) {
      const isMeant = variants.some(
        (one) =>
          one.entrypoint === entrypoint &&
          (purgeEverything ||
            [...one.tags].some((tag) => purged.has(tag)) ||
            pathPrefixes.some((prefix) => one.path.startsWith(prefix.startsWith('/') ? prefix : `/${prefix}`))),
      );
      if (isMeant) this.#stored.delete(key);
    }
    return Promise.resolve({ success: true, errors: [] });
  }

  /** Empties the cache, for tests and measurements. Nothing like it exists at Cloudflare. */
  clear(): void {
    this.#stored.clear();
  }

  // Not the host, not the method, and no other request header (page *Cache keys*).
  #keyOf(request: Request, { entrypoint, props, version }: Callee): string {
    const { pathname, search } = new URL(request.url);
    const of = (name: string): string | null => {
      const value = request.headers.get(name);
      return name === 'x-forwarded-scheme' && /^https?$/.test(value ?? '') ? null : value;
    };
    return JSON.stringify([
      entrypoint,
      pathname + search,
      this.#crossVersion ? null : version,
      props,
      ...KEY_HEADERS.map(of),
    ]);
  }

  /** Calls the Worker for the whole answer, and stores it if that is allowed. */
  async #fill(
    request: Request,
    { entrypoint }: Callee,
    key: string,
    call: (request: Request) => Promise<Response>,
    keepsOnError = false,
  ): Promise<readonly [Response | Stored, Status]> {
    // `Range` is removed (page *Configuration*, "Range requests"); HEAD becomes GET (page *Cache keys*).
    const headers = new Headers(request.headers);
    headers.delete('range');
    headers.delete('if-range');
    const asked = new Request(request.url, { method: 'GET', headers, redirect: 'manual' });
    const answer = await call(asked);
    if (keepsOnError && answer.status >= 500) return [answer, 'MISS'];
    const lifetime = storable(asked, answer);
    if (typeof lifetime === 'string') return [answer, lifetime];
    // Too large a body is passed on and not stored (page *Debugging*, "My response is larger than the size limit").
    if (Number(answer.headers.get('content-length') ?? 0) > this.#maxBytes) return [answer, 'MISS'];
    const body = await readWhole(answer);
    // The body goes to the client as it comes, and breaks off there too (page *Workers Cache*, "Request collapsing").
    if (body instanceof ReadableStream) return [new Response(body, answer), 'MISS'];
    const stored: Stored = {
      entrypoint,
      path: new URL(request.url).pathname,
      vary: listOf(answer.headers.get('vary')).map((name) => [name, request.headers.get(name)]),
      tags: tagsOf(answer.headers.get('cache-tag')),
      status: answer.status,
      headers: [...answer.headers].filter(([name]) => name !== 'set-cookie'),
      body,
      storedAt: this.#now(),
      lifetime,
    };
    if (body.length <= this.#maxBytes) {
      const isOther = ({ vary }: Stored): boolean => JSON.stringify(vary) !== JSON.stringify(stored.vary);
      this.#stored.set(key, [...(this.#stored.get(key) ?? []).filter(isOther), stored]);
    }
    return [stored, 'MISS'];
  }

  /** The answer to the caller: a part where a part was asked for and the whole is stored, and no body for HEAD. */
  #deliver(request: Request, answer: Response | Stored, status: Status): Response {
    const headers = new Headers(answer.headers as HeadersInit);
    // Both are removed ("Header precedence", "Cache-Tag").
    headers.delete('cloudflare-cdn-cache-control');
    headers.delete('cache-tag');
    headers.set('cf-cache-status', status);
    if (answer instanceof Response) {
      // No page says what becomes of a part of an answer that cannot be stored: here the whole comes back.
      return new Response(request.method === 'HEAD' ? null : answer.body, { status: answer.status, headers });
    }
    // No page says whether a hit has `Age`; RFC 9111 demands it (section 5.1).
    if (status !== 'MISS') headers.set('age', String(Math.floor((this.#now() - answer.storedAt) / 1_000)));
    const part = answer.status === 200 ? partOf(request.headers.get('range'), answer.body.length) : null;
    if (part === null || request.method === 'HEAD') {
      const body = request.method === 'HEAD' || [204, 304].includes(answer.status) ? null : answer.body;
      return new Response(body, { status: answer.status, headers });
    }
    if (part === 'none') {
      headers.set('content-range', `bytes */${String(answer.body.length)}`);
      headers.set('content-length', '0');
      return new Response(null, { status: 416, headers });
    }
    const [from, to] = part;
    headers.set('content-range', `bytes ${String(from)}-${String(to)}/${String(answer.body.length)}`);
    headers.set('content-length', String(to - from + 1));
    return new Response(answer.body.slice(from, to + 1), { status: 206, headers });
  }
}

/**
 * How long an answer is stored, or the status of one that is not (pages *Configuration*, *Limitations*, *Debugging*).
 */
function storable(request: Request, { status, headers }: Response): Lifetime | Status {
  // Never, whatever the headers say ("Status codes that are never cached").
  if (status === 206 || (status >= 520 && status <= 526)) return 'MISS';
  // The most specific header alone counts ("Header precedence").
  const control =
    headers.get('cloudflare-cdn-cache-control') ?? headers.get('cdn-cache-control') ?? headers.get('cache-control');
  const directives = new Map(
    listOf(control).map((directive) => {
      const [name = '', value = ''] = directive.split(/=(.*)/);
      return [name.trim(), value.replaceAll('"', '').trim()] as const;
    }),
  );
  // "Automatic bypass conditions", and `Vary: *`.
  const withoutCookie = directives.get('private') === 'set-cookie' || directives.get('no-cache') === 'set-cookie';
  if (directives.has('no-store') || (directives.has('private') && directives.get('private') === '')) return 'BYPASS';
  if (headers.has('set-cookie') && !withoutCookie) return 'BYPASS';
  if (listOf(headers.get('vary')).includes('*')) return 'BYPASS';
  const isOpen = ['public', 'must-revalidate', 's-maxage'].some((name) => directives.has(name));
  if (request.headers.has('authorization') && !isOpen) return 'BYPASS';

  const seconds = (name: string): number | undefined => {
    const value = directives.get(name);
    return value === undefined ? undefined : Number(value);
  };
  const given = directives.has('no-cache') && !withoutCookie ? 0 : (seconds('s-maxage') ?? seconds('max-age'));
  const fresh = control === null ? DEFAULT_SECONDS[status] : given;
  if (fresh === undefined || Number.isNaN(fresh)) return 'DYNAMIC';
  // These three forbid stale answers.
  const mayBeStale = !['s-maxage', 'must-revalidate', 'proxy-revalidate'].some((name) => directives.has(name));
  return {
    fresh: fresh * 1_000,
    staleWhileRevalidate: mayBeStale ? (seconds('stale-while-revalidate') ?? 0) * 1_000 : 0,
    // Without the directive stale answers hide errors for ever ("Serve stale on error").
    staleIfError: mayBeStale ? (seconds('stale-if-error') ?? Infinity) * 1_000 : 0,
  };
}

/** The body; or, if it breaks off, a stream of what came of it that breaks off as well. */
async function readWhole({ body }: Response): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of body ?? []) chunks.push(chunk as Uint8Array);
  } catch (error) {
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.error(error);
        else controller.enqueue(chunk);
      },
    });
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Printable ASCII of at most 1,024 characters, the first 1,000; others are dropped without a word ("Cache-Tag"). */
function tagsOf(value: string | null): ReadonlySet<string> {
  const valid = listOf(value).filter((tag) => /^[\x21-\x7e]{1,1024}$/.test(tag));
  return new Set(valid.slice(0, 1_000));
}

/** First and last byte of a single range; null to send the whole, 'none' if there is no such byte. */
function partOf(range: string | null, size: number): readonly [number, number] | 'none' | null {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
  if (first === '' && last === '') return null;
  if (first === '') return last === '0' || size === 0 ? 'none' : [Math.max(0, size - Number(last)), size - 1];
  if (last !== '' && Number(last) < Number(first)) return null;
  return Number(first) >= size ? 'none' : [Number(first), last === '' ? size - 1 : Math.min(Number(last), size - 1)];
}

function listOf(value: string | null): readonly string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .filter((item) => item !== '');
}
