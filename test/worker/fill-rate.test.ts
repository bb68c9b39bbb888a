/** How many fills one client may start: with the platform's own limiter, as wrangler.toml binds it. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RateLimiter } from '../../src/worker/access/login-limit.ts';
import { titleOf } from '../attacks.ts';
import { type Ask, cachedEdge, directEdge, errorOf } from './edge.ts';
import { fakeUpstream, stubFetch, TYPES } from './ingest/fake-upstream.ts';

const { BUCKET: bucket, FILL_LIMITER } = env as unknown as { BUCKET: R2Bucket; FILL_LIMITER: RateLimiter };
const LIMIT = 600;

beforeAll(stubFetch);
afterAll(() => {
  vi.unstubAllGlobals();
});

const varsOf = (host: string, limiter: RateLimiter | undefined = FILL_LIMITER) => ({
  ORIGINS: [{ name: 'up', pattern: '*', upstream: `https://${host}`, kind: 'pulp3', flatpak: true }],
  ...(limiter !== undefined && { FILL_LIMITER: limiter }),
});

const get = (edge: Ask, path: string, address: string | null): Promise<Response> =>
  edge(path, {
    headers: { accept: TYPES.schema2, ...(address !== null && { 'cf-connecting-ip': address }) },
  });

describe('the fills of one client', () => {
  it(
    titleOf('fills-by-one-client'),
    async () => {
      const upstream = fakeUpstream('rate.example');
      await upstream.image('rate', 'stored', 'stored');
      await upstream.image('rate', 'new', 'new');
      const edge = directEdge(bucket, { vars: varsOf('rate.example') });
      expect((await get(edge, '/v2/rate/manifests/stored', '192.0.2.1')).status).toBe(200);
      expect((await get(edge, '/v2/rate/manifests/absent', '192.0.2.1')).status).toBe(404);
      // The rest of the minute's fills. A new minute may begin meanwhile.
      let spent = 2;
      while ((await FILL_LIMITER.limit({ key: 'fill:192.0.2.1' })).success) spent += 1;
      expect(spent).toBeGreaterThanOrEqual(LIMIT);
      const requests = upstream.requests.length;
      const refused = await get(edge, '/v2/rate/manifests/new', '192.0.2.1');
      expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('cache-control')]).toEqual([
        429,
        '60',
        'no-store',
      ]);
      expect((await errorOf(refused)).detail.reason).toBe('fill-limited');
      expect(upstream.requests).toHaveLength(requests);
      // Warm pulls, and other clients, are not limited.
      expect((await get(edge, '/v2/rate/manifests/stored', '192.0.2.1')).status).toBe(200);
      expect((await get(edge, '/v2/rate/manifests/new', '192.0.2.2')).status).toBe(200);
      expect((await get(edge, '/v2/rate/manifests/new', '192.0.2.1')).status).toBe(200);
    },
    60_000,
  );

  it.each([
    ['straight', directEdge],
    ['behind a cache', cachedEdge],
  ] as const)('are counted by address, IPv6 by /64: %s', async (title, edgeOver) => {
    const host = `keys-${title.replaceAll(' ', '-')}.example`;
    fakeUpstream(host);
    const keys: string[] = [];
    const limiter: RateLimiter = {
      limit: ({ key }) => {
        keys.push(key);
        return Promise.resolve({ success: true });
      },
    };
    const edge = edgeOver(bucket, { vars: varsOf(host, limiter) });
    await get(edge, '/v2/keys/manifests/one', '192.0.2.1');
    await get(edge, `/v2/keys/blobs/sha256:${'0'.repeat(64)}`, '2001:db8:1:2:3::4');
    await get(edge, `/v2/keys/manifests/sha256:${'1'.repeat(64)}`, '192.0.2.3');
    await get(edge, '/v2/keys/tags/list', '192.0.2.4');
    await get(edge, `/extensions/v2/keys/signatures/sha256:${'2'.repeat(64)}`, '192.0.2.5');
    await get(edge, '/index/static?label:org.flatpak.ref:exists=1', '192.0.2.6');
    await get(edge, '/v2/keys/manifests/two', null);
    expect(keys).toEqual(
      ['192.0.2.1', '2001:db8:1:2::/64', '192.0.2.3', '192.0.2.4', '192.0.2.5', '192.0.2.6'].map(
        (client) => `fill:${client}`,
      ),
    );
  });
});
