/** What the first Worker leaves to the annex, and what it does without it. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { tagKey } from '../../src/registry/keys.ts';
import { encodeOriginMark } from '../../src/registry/origin-mark.ts';
import type { AnnexEntrypoint } from '../../src/worker/annex-port.ts';
import { PERSISTENCE } from '../../src/worker/storage/retry.ts';
import { annexOver } from './annex.ts';
import { watched } from './buckets.ts';
import { type Ask, certificateOf, comparable, deployedEdge, directEdge, errorOf } from './edge.ts';
import { manifest, nameOf, type SeededForm, seedBlob, seedTag, seedTagList, tagOf } from './seed.ts';

// The annex behind its binding, as it is deployed.
const { BUCKET: bucket, ANNEX: annex } = env as unknown as { BUCKET: R2Bucket; ANNEX: AnnexEntrypoint };

const LIFETIME = 60;
const ORIGINS = [
  { name: 'up', pattern: 'filled/*', upstream: 'https://upstream.example', lifetime: LIFETIME, stale: 600, grace: 0 },
];
const PAGES = ['/', '/r/filled/a', '/r/filled/a:one', '/help', '/help/tag-unknown'];
const NOWHERE = `sha256:${'0'.repeat(64)}`;

/** A tag that the annex stored, last compared with the upstream's so many seconds ago; or one that somebody published. */
async function store(name: string, ago: number | 'published', gone = false): Promise<SeededForm> {
  const form = await manifest('oci-manifest', name);
  await seedTag(bucket, name, 'one', [form]);
  await seedTagList(bucket, name, ['one']);
  if (ago === 'published') return form;
  const key = tagKey(nameOf(name), tagOf('one'));
  const object = await bucket.get(key);
  if (object === null) throw new Error('the tag was not seeded');
  const checked = Date.now() - ago * 1_000;
  const mark = encodeOriginMark({ origin: 'up', digest: form.digest, checked, gone: gone ? checked : null });
  await bucket.put(key, await object.arrayBuffer(), { customMetadata: { ...object.customMetadata, ...mark } });
  return form;
}

/** An annex that answers every question as it is told, and remembers what it was asked. */
function annexThat(answer: () => Response): { readonly annex: AnnexEntrypoint; readonly asked: string[] } {
  const asked: string[] = [];
  const say = (request: Request): Promise<Response> => {
    asked.push(new URL(request.url).pathname);
    return Promise.resolve().then(answer);
  };
  return { annex: { fill: say, page: say }, asked };
}

const get = (edge: Ask, path: string): Promise<Response> =>
  edge(path, { headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } });

describe.each([
  ['is not there', null],
  ['fails', annexThat(() => { throw new TypeError('no such Worker'); }).annex], // prettier-ignore
] as const)('where the annex %s', (_, annex) => {
  const edge = directEdge(bucket, { vars: { ORIGINS }, annex });

  it.each(PAGES)('the page %s is 503 with Retry-After and the reason', async (path) => {
    const response = await edge(path);
    expect([response.status, response.headers.get('retry-after'), response.headers.get('cache-control')]).toEqual([
      503,
      '5',
      'no-store',
    ]);
    expect((await errorOf(response)).detail.reason).toBe('annex-unavailable');
  });

  it.each(['manifests/none', `manifests/${NOWHERE}`, `blobs/${NOWHERE}`, 'tags/list'])(
    '%s of a filled repository that has nothing stored is 503, not 404',
    async (path) => {
      const response = await get(edge, `/v2/filled/nothing/${path}`);
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
      expect((await errorOf(response)).detail.reason).toBe('annex-unavailable');
    },
  );

  it('what is stored is answered as always, with a warning only where the upstream might know better', async () => {
    const published = await store('filled/published', 'published');
    const fresh = await store('filled/fresh', LIFETIME / 2);
    const stale = await store('filled/stale', LIFETIME * 2);
    const expired = await store('filled/expired', 100_000);
    const blob = await seedBlob(bucket, new Uint8Array([1, 2, 3]));
    const seen = async (path: string): Promise<unknown[]> => {
      const response = await get(edge, path);
      return [
        response.status,
        response.headers.get('docker-content-digest'),
        response.headers.get('warning')?.includes('ANNEX_UNAVAILABLE') ?? false,
      ];
    };
    expect(await seen('/v2/filled/published/manifests/one')).toEqual([200, published.digest, false]);
    expect(await seen('/v2/filled/fresh/manifests/one')).toEqual([200, fresh.digest, false]);
    expect(await seen('/v2/filled/stale/manifests/one')).toEqual([200, stale.digest, true]);
    expect(await seen('/v2/filled/expired/manifests/one')).toEqual([200, expired.digest, true]);
    expect(await seen(`/v2/filled/stale/manifests/${stale.digest}`)).toEqual([200, stale.digest, false]);
    expect(await seen(`/v2/filled/fresh/blobs/${blob}`)).toEqual([200, blob, false]);
    expect(await seen('/v2/filled/fresh/tags/list')).toEqual([200, null, true]);
  });
});

describe('a filled repository', () => {
  it('is answered from the bucket without the annex where the upstream has no say, and costs no read more', async () => {
    const { annex, asked } = annexThat(() => new Response(null, { status: 500 }));
    const fresh = await store('filled/read', LIFETIME / 2);
    await store('filled/gone', LIFETIME / 2, true);
    const blob = await seedBlob(bucket, new Uint8Array([4, 5, 6]));
    for (const path of ['manifests/one', `manifests/${fresh.digest}`, `blobs/${blob}`]) {
      const [filled, own] = [watched(bucket), watched(bucket)];
      expect(
        (await get(directEdge(filled.bucket, { vars: { ORIGINS }, annex }), `/v2/filled/read/${path}`)).status,
      ).toBe(200);
      expect((await get(directEdge(own.bucket, { annex }), `/v2/filled/read/${path}`)).status).toBe(200);
      expect(filled.operations).toEqual(own.operations);
    }
    const gone = await get(directEdge(bucket, { vars: { ORIGINS }, annex }), '/v2/filled/gone/manifests/one');
    expect((await errorOf(gone)).detail.reason).toBe('tag-unknown');
    expect(asked).toEqual([]);
  });

  it('asks the annex no more about a tag once that has told that it compared it', async () => {
    const stored = await store('filled/compared', LIFETIME * 2);
    const facts = JSON.stringify({ head: 1, get: 2, ms: 3, checked: Date.now() });
    const { annex, asked } = annexThat(
      () => new Response(null, { headers: { 'gantry-facts': facts, 'docker-content-digest': stored.digest } }),
    );
    const edge = directEdge(bucket, { vars: { ORIGINS }, annex });
    const first = await get(edge, '/v2/filled/compared/manifests/one');
    expect(first.headers.get('gantry-facts')).toBeNull();
    // What the first Worker read before it asked, and what the annex read.
    expect(first.headers.get('server-timing')).toMatch(/r2;desc="1 head, 3 get"/);
    expect((await get(edge, '/v2/filled/compared/manifests/one')).status).toBe(200);
    expect(asked).toHaveLength(1);
  });

  it.each(['ends early', 'fails'] as const)(
    'gives a client no whole answer where the body that comes from the annex %s',
    async (how) => {
      const { annex } = annexThat(() => {
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(new Uint8Array(10));
            if (how === 'fails') controller.error(new Error('the upstream broke off'));
            else controller.close();
          },
        });
        return new Response(body, { headers: { 'content-length': '20' } });
      });
      const response = await get(directEdge(bucket, { vars: { ORIGINS }, annex }), `/v2/filled/a/blobs/${NOWHERE}`);
      expect([response.status, response.headers.get('content-length')]).toEqual([200, '20']);
      await expect(response.arrayBuffer()).rejects.toThrow();
    },
  );
});

describe('the annex', () => {
  it('gets the settings that it needs along with each call, and no others', async () => {
    const texts: string[] = [];
    const inner = annexOver(bucket, PERSISTENCE);
    const annex: AnnexEntrypoint = {
      ...inner,
      page: (request, settings, props) => (texts.push(settings), inner.page(request, settings, props)),
    };
    const vars = { ORIGINS, PUBLIC_URL: 'https://a.example', PURGE_TOKEN: 'x'.repeat(16), TOKENS_CI: '' };
    const page = await directEdge(bucket, { vars, annex })('/help');
    expect(await page.text()).toContain('a.example');
    expect(texts.map((text) => JSON.parse(text) as unknown)).toEqual([
      { ORIGINS, PUBLIC_URL: 'https://a.example', TOKENS_CI: '' },
    ]);
  });

  it('makes pages behind the first Worker as it is deployed: one id, the reads told, GET and HEAD alike', async () => {
    const [page, head] = await Promise.all([deployedEdge('/'), deployedEdge('/', { method: 'HEAD' })]);
    const text = await page.text();
    expect([page.status, text.startsWith('<!doctype html>')]).toEqual([200, true]);
    expect(page.headers.get('content-length')).toBe(String(new TextEncoder().encode(text).length));
    expect(page.headers.get('server-timing')).toMatch(/r2;desc=/);
    expect(page.headers.get('gantry-facts')).toBeNull();
    expect(comparable(head)).toEqual(comparable(page));
  });

  it('tells the log of the first Worker why there is no page', async () => {
    const response = await deployedEdge('/r/filled/never');
    expect([response.status, response.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
  });

  it('decides behind the binding who may see a page: by certificate, and by the Worker’s own limit of failed logins', async () => {
    await store('team/a', 'published');
    const keys: string[] = [];
    const LOGIN_LIMITER = { limit: ({ key }: { key: string }) => Promise.resolve({ success: keys.push(key) < 2 }) };
    const vars = {
      REALMS: [{ pattern: 'team/*', realm: 'team' }],
      ACCESS: { service: 'registry.example', realms: { team: { certificates: [{ subject: 'OU=team' }] } } },
      LOGIN_LIMITER,
    };
    const anybody = directEdge(bucket, { vars, annex });
    const wrong = { headers: { authorization: `Basic ${btoa('x:wrong')}`, 'cf-connecting-ip': '192.0.2.1' } };
    expect((await anybody('/r/team/a')).status).toBe(401);
    expect((await anybody('/r/team/a', wrong)).status).toBe(401);
    expect((await anybody('/r/team/a', wrong)).status).toBe(429);
    expect(keys).toEqual(['login:192.0.2.1', 'login:192.0.2.1']);
    expect((await directEdge(bucket, { vars, annex, cf: certificateOf('CN=host,OU=team') })('/r/team/a')).status).toBe(
      200,
    );
  });
});
