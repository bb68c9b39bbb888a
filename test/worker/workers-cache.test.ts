/** The stand-in for Workers Cache does what Cloudflare's documentation says: one test for each rule that it names. */
import { describe, expect, it } from 'vitest';
import { type Callee, WorkersCache, type WorkersCacheOptions } from './workers-cache.ts';

const REGISTRY: Callee = { entrypoint: 'Registry', props: { realm: 'public' }, version: 'a' };
const CACHEABLE = { 'cache-control': 'public, max-age=60' };

/** A cache in front of a Worker that gives one answer, with a clock that the test moves. */
function bed(
  headers: Record<string, string>,
  options: WorkersCacheOptions & { readonly status?: number; readonly body?: string } = {},
) {
  let now = 0;
  const asked: Request[] = [];
  const worker = {
    answer: (): Response => new Response(options.body ?? '0123456789', { status: options.status ?? 200, headers }),
  };
  const cache = new WorkersCache({ now: () => now, ...options });
  const background: Promise<unknown>[] = [];
  return {
    asked,
    cache,
    worker,
    wait: (seconds: number) => {
      now += seconds * 1_000;
    },
    settle: () => Promise.all(background),
    get: (
      path = '/x',
      init: RequestInit = {},
      callee: Partial<Callee> = {},
      host = 'registry.gantry',
    ): Promise<Response> =>
      cache.fetch(
        new Request(`https://${host}${path}`, init),
        { ...REGISTRY, ...callee },
        (request) => {
          asked.push(request);
          return Promise.resolve(worker.answer());
        },
        (work) => background.push(work),
      ),
  };
}

const statusOf = async (response: Response | Promise<Response>): Promise<string | null> =>
  (await response).headers.get('cf-cache-status');

describe('the key (page "Cache keys")', () => {
  it('is entrypoint, path and query, props and version', async () => {
    const { get } = bed(CACHEABLE);
    await get('/x?a=1');
    expect(await statusOf(get('/x?a=1'))).toBe('HIT');
    expect(await statusOf(get('/x?a=2'))).toBe('MISS');
    expect(await statusOf(get('/x?a=1', {}, { entrypoint: 'default' }))).toBe('MISS');
    expect(await statusOf(get('/x?a=1', {}, { props: { realm: 'team-a' } }))).toBe('MISS');
    expect(await statusOf(get('/x?a=1', {}, { version: 'b' }))).toBe('MISS');
  });

  it('has no version with cross_version_cache', async () => {
    const { get } = bed(CACHEABLE, { crossVersion: true });
    await get();
    expect(await statusOf(get('/x', {}, { version: 'b' }))).toBe('HIT');
  });

  it('has no host, no method and no request header but those against poisoning', async () => {
    const { get } = bed(CACHEABLE);
    await get();
    expect(await statusOf(get('/x', {}, {}, 'other.example'))).toBe('HIT');
    expect(await statusOf(get('/x', { method: 'HEAD' }))).toBe('HIT');
    expect(await statusOf(get('/x', { headers: { cookie: 'a=b', 'user-agent': 'x' } }))).toBe('HIT');
    expect(await statusOf(get('/x', { headers: { 'x-forwarded-host': 'evil.example' } }))).toBe('MISS');
    expect(await statusOf(get('/x', { headers: { 'x-forwarded-scheme': 'https' } }))).toBe('HIT');
  });

  it('compares what Vary names verbatim, and does not store Vary: *', async () => {
    const { get } = bed({ ...CACHEABLE, vary: 'Accept' });
    await get('/x', { headers: { accept: 'a, b' } });
    expect(await statusOf(get('/x', { headers: { accept: 'a, b' } }))).toBe('HIT');
    expect(await statusOf(get('/x', { headers: { accept: 'b, a' } }))).toBe('MISS');
    const any = bed({ ...CACHEABLE, vary: '*' });
    await any.get();
    expect(await statusOf(any.get())).toBe('BYPASS');
  });
});

describe('methods and parts', () => {
  it('makes GET of a cold HEAD, which stores the whole (page "Cache keys")', async () => {
    const { get, asked } = bed(CACHEABLE);
    const head = await get('/x', { method: 'HEAD' });
    expect(await head.text()).toBe('');
    expect(asked.map(({ method }) => method)).toEqual(['GET']);
    expect(await (await get()).text()).toBe('0123456789');
    expect(asked).toHaveLength(1);
  });

  it('removes Range before it calls the Worker, and cuts the part itself (page "Configuration")', async () => {
    const { get, asked } = bed(CACHEABLE);
    const part = await get('/x', { headers: { range: 'bytes=2-4' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    expect([asked.length, asked[0]?.headers.get('range')]).toEqual([1, null]);
    const next = await get('/x', { headers: { range: 'bytes=-3' } });
    expect([next.status, await statusOf(next), await next.text()]).toEqual([206, 'HIT', '789']);
    expect((await get('/x', { headers: { range: 'bytes=10-' } })).status).toBe(416);
    expect(asked).toHaveLength(1);
  });

  it('gives a part of what is too large to store as the whole, each time from the Worker', async () => {
    const { get, asked } = bed({ ...CACHEABLE, 'content-length': '10' }, { maxBytes: 9 });
    for (let turn = 1; turn <= 2; turn++) {
      const answer = await get('/x', { headers: { range: 'bytes=0-0' } });
      expect([answer.status, await statusOf(answer), await answer.text()]).toEqual([200, 'MISS', '0123456789']);
      expect(asked).toHaveLength(turn);
    }
    const unknown = bed(CACHEABLE, { maxBytes: 9 });
    await unknown.get();
    expect(await statusOf(unknown.get())).toBe('MISS');
  });

  it('calls the Worker for every other method (page "Limitations")', async () => {
    const { get, asked } = bed(CACHEABLE);
    for (let turn = 0; turn < 2; turn++) expect(await statusOf(get('/x', { method: 'POST' }))).toBe('BYPASS');
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'POST']);
  });
});

describe('what is not stored', () => {
  it.each<[string, Record<string, string>, number, RequestInit, string]>([
    ['no-store', { 'cache-control': 'no-store' }, 200, {}, 'BYPASS'],
    ['private', { 'cache-control': 'private, max-age=60' }, 200, {}, 'BYPASS'],
    ['Set-Cookie', { ...CACHEABLE, 'set-cookie': 'a=b' }, 200, {}, 'BYPASS'],
    [
      'a request with Authorization without public',
      { 'cache-control': 'max-age=60' },
      200,
      { headers: { authorization: 'Basic eDp5' } },
      'BYPASS',
    ],
    ['206', CACHEABLE, 206, {}, 'MISS'],
    ['520', CACHEABLE, 520, {}, 'MISS'],
    ['500 without Cache-Control', {}, 500, {}, 'DYNAMIC'],
  ])('%s', async (_, headers, status, init, expected) => {
    const { get, asked } = bed(headers, { status });
    for (let turn = 1; turn <= 2; turn++) {
      expect(await statusOf(get('/x', init))).toBe(expected);
      expect(asked).toHaveLength(turn);
    }
  });

  it('but private="set-cookie" stores the rest', async () => {
    const { get } = bed({ 'cache-control': 'private="set-cookie", max-age=60', 'set-cookie': 'a=b' });
    await get();
    const hit = await get();
    expect([await statusOf(hit), hit.headers.get('set-cookie')]).toEqual(['HIT', null]);
  });

  it('but an answer to Authorization that is public is', async () => {
    const { get } = bed(CACHEABLE);
    const init = { headers: { authorization: 'Basic eDp5' } };
    await get('/x', init);
    expect(await statusOf(get('/x', init))).toBe('HIT');
  });
});

describe('lifetimes (page "Configuration")', () => {
  it('come from the most specific header, which clients do not see', async () => {
    const { get, wait } = bed({
      'cache-control': 'no-store',
      'cdn-cache-control': 'max-age=10',
      'cloudflare-cdn-cache-control': 'max-age=60',
      'cache-tag': 'a',
    });
    await get();
    wait(59);
    const hit = await get();
    expect([await statusOf(hit), hit.headers.get('age')]).toEqual(['HIT', '59']);
    expect(hit.headers.has('cloudflare-cdn-cache-control') || hit.headers.has('cache-tag')).toBe(false);
    wait(1);
    expect(await statusOf(get())).toBe('EXPIRED');
  });

  it.each([
    [200, 7_200],
    [404, 180],
  ])('are inferred where there is no header: %i for %i s', async (status, seconds) => {
    const { get, wait } = bed({}, { status });
    await get();
    wait(seconds - 1);
    expect(await statusOf(get())).toBe('HIT');
    wait(1);
    expect(await statusOf(get())).toBe('EXPIRED');
  });

  it('stale-while-revalidate serves what is stored, and calls the Worker in the background', async () => {
    const { get, wait, worker, settle } = bed({ 'cache-control': 'max-age=60, stale-while-revalidate=30' });
    await get();
    worker.answer = () => new Response('new', { headers: CACHEABLE });
    wait(89);
    const stale = await get();
    expect([await statusOf(stale), await stale.text()]).toEqual(['UPDATING', '0123456789']);
    await settle();
    expect(await (await get()).text()).toBe('new');
  });

  it('stale-if-error hides a failure, without end where it is not set, and not after must-revalidate', async () => {
    const fails = (): Response => new Response(null, { status: 503, headers: { 'cache-control': 'no-store' } });
    for (const [control, expected] of [
      ['max-age=60, stale-if-error=10', 503],
      ['max-age=60', 200],
      ['max-age=60, must-revalidate', 503],
    ] as const) {
      const { get, wait, worker } = bed({ 'cache-control': control });
      await get();
      worker.answer = fails;
      wait(71);
      expect((await get()).status, control).toBe(expected);
    }
    const { get, wait, worker } = bed({ 'cache-control': 'max-age=60, stale-if-error=10' });
    await get();
    worker.answer = () => {
      throw new Error('the Worker threw');
    };
    wait(69);
    expect(await statusOf(get())).toBe('STALE');
    wait(1);
    await expect(get()).rejects.toThrow('threw');
  });

  it('no-cache is stored, and asked again each time', async () => {
    const { get } = bed({ 'cache-control': 'no-cache' });
    await get();
    expect(await statusOf(get())).toBe('EXPIRED');
  });
});

describe('purging (page "Purging the cache")', () => {
  it('by tag ignores case, takes all variants and versions, and stays within the entrypoint', async () => {
    const { get, cache } = bed({ ...CACHEABLE, vary: 'Accept', 'cache-tag': 'one,Two' });
    const ask = (accept: string, callee: Partial<Callee> = {}): Promise<Response> =>
      get('/x', { headers: { accept } }, callee);
    const fill = async (): Promise<void> => {
      for (const accept of ['a', 'b']) await ask(accept);
      await ask('a', { entrypoint: 'default' });
      await ask('a', { version: 'b' });
    };
    await fill();
    expect(await cache.purge({ tags: ['TWO'] }, 'Registry')).toEqual({ success: true, errors: [] });
    for (const accept of ['a', 'b']) expect(await statusOf(ask(accept))).toBe('MISS');
    expect(await statusOf(ask('a', { version: 'b' }))).toBe('MISS');
    expect(await statusOf(ask('a', { entrypoint: 'default' }))).toBe('HIT');
    await cache.purge({ pathPrefixes: ['/x'] }, 'Registry');
    expect(await statusOf(ask('a'))).toBe('MISS');
    await cache.purge({ purgeEverything: true }, 'Registry');
    expect(await statusOf(ask('a'))).toBe('MISS');
  });

  it('drops tags that are not valid, and stores the answer all the same', async () => {
    const { get, cache } = bed({ ...CACHEABLE, 'cache-tag': 'with space,good' });
    await get();
    await cache.purge({ tags: ['with space'] }, 'Registry');
    expect(await statusOf(get())).toBe('HIT');
    await cache.purge({ tags: ['good'] }, 'Registry');
    expect(await statusOf(get())).toBe('MISS');
  });

  it('takes 100 operations a call, 25 calls at once and 5 a minute after them', async () => {
    const { cache, wait } = bed(CACHEABLE);
    const tags = (count: number): string[] => Array.from({ length: count }, (_, index) => `t${String(index)}`);
    expect((await cache.purge({ tags: tags(101) }, 'Registry')).success).toBe(false);
    for (let call = 0; call < 25; call++) {
      expect((await cache.purge({ tags: tags(100) }, 'Registry')).success).toBe(true);
    }
    const refused = await cache.purge({ tags: ['x'] }, 'Registry');
    expect([refused.success, refused.errors.length]).toEqual([false, 1]);
    wait(60);
    const outcomes = [];
    for (let call = 0; call < 6; call++) outcomes.push((await cache.purge({ tags: ['x'] }, 'Registry')).success);
    expect(outcomes).toEqual([true, true, true, true, true, false]);
  });

  it('everything goes alone', async () => {
    const { cache } = bed(CACHEABLE);
    expect((await cache.purge({ purgeEverything: true, tags: ['x'] }, 'Registry')).success).toBe(false);
    expect((await cache.purge({}, 'Registry')).success).toBe(false);
  });
});
