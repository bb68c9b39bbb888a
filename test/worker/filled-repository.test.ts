/** What the bucket alone answers for a repository that is filled from an upstream, and when the upstream is asked. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tagKey } from '../../src/registry/keys.ts';
import { encodeOriginMark } from '../../src/registry/origin-mark.ts';
import { watched } from './buckets.ts';
import { type Ask, certificateOf, comparable, deployedEdge, directEdge, errorOf } from './edge.ts';
import { manifest, nameOf, type SeededForm, seedBlob, seedTag, seedTagList, tagOf } from './seed.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

const LIFETIME = 60;
const ORIGINS = [
  { name: 'up', pattern: 'filled/*', upstream: 'https://upstream.example', lifetime: LIFETIME, stale: 600, grace: 0 },
];

/** What the upstream was asked for: method and path. */
let requests: string[] = [];

beforeEach(() => {
  requests = [];
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    requests.push(`${init.method ?? 'GET'} ${new URL(url).pathname}`);
    return Promise.resolve(new Response('{"errors":[{"code":"NAME_UNKNOWN"}]}', { status: 404 }));
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A tag that was filled, last compared with the upstream's so many seconds ago; or one that somebody published. */
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

const get = (edge: Ask, path: string): Promise<Response> =>
  edge(path, { headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } });

describe('a filled repository', () => {
  it('is answered from the bucket alone where the upstream has no say, with the reads of any other repository', async () => {
    const fresh = await store('filled/read', LIFETIME / 2);
    await store('filled/gone', LIFETIME / 2, true);
    const blob = await seedBlob(bucket, new Uint8Array([4, 5, 6]));
    for (const path of ['manifests/one', `manifests/${fresh.digest}`, `blobs/${blob}`]) {
      const [filled, own] = [watched(bucket), watched(bucket)];
      expect((await get(directEdge(filled.bucket, { vars: { ORIGINS } }), `/v2/filled/read/${path}`)).status).toBe(200);
      expect((await get(directEdge(own.bucket), `/v2/filled/read/${path}`)).status).toBe(200);
      expect(filled.operations).toEqual(own.operations);
    }
    const gone = await get(directEdge(bucket, { vars: { ORIGINS } }), '/v2/filled/gone/manifests/one');
    expect((await errorOf(gone)).detail.reason).toBe('tag-unknown');
    expect(requests).toEqual([]);
  });

  it('has a stored tag compared once for the lifetime of a comparison, and read once for each request', async () => {
    const stored = await store('filled/compared', LIFETIME * 2);
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      requests.push(`${init.method ?? 'GET'} ${new URL(url).pathname}`);
      return Promise.resolve(new Response(null, { headers: { 'docker-content-digest': stored.digest } }));
    });
    const { bucket: own, operations } = watched(bucket);
    const edge = directEdge(own, { vars: { ORIGINS } });
    const first = await get(edge, '/v2/filled/compared/manifests/one');
    expect([first.status, first.headers.get('docker-content-digest')]).toEqual([200, stored.digest]);
    expect(operations).toMatchObject({ head: 0, get: 1, other: [] });
    const compared = (): readonly string[] =>
      requests.filter((one) => one === 'HEAD /v2/filled/compared/manifests/one');
    await vi.waitFor(() => expect(compared()).toHaveLength(1));
    expect((await get(edge, '/v2/filled/compared/manifests/one')).status).toBe(200);
    // Late signatures are looked for beside it.
    expect(compared()).toHaveLength(1);
  });

  it('has storage read once for a miss, before the upstream is asked', async () => {
    const { bucket: own, operations } = watched(bucket);
    const edge = directEdge(own, { vars: { ORIGINS } });
    expect((await get(edge, '/v2/filled/nothing/manifests/none')).status).toBe(404);
    expect(operations).toMatchObject({ head: 1, get: 1, other: [] });
    expect(requests).not.toEqual([]);
  });
});

describe('pages', () => {
  it('have one id, the reads in Server-Timing, and the same headers for GET and HEAD', async () => {
    const [page, head] = await Promise.all([deployedEdge('/'), deployedEdge('/', { method: 'HEAD' })]);
    const text = await page.text();
    expect([page.status, text.startsWith('<!doctype html>')]).toEqual([200, true]);
    expect(page.headers.get('content-length')).toBe(String(new TextEncoder().encode(text).length));
    expect(page.headers.get('server-timing')).toMatch(/r2;desc=/);
    expect(comparable(head)).toEqual(comparable(page));
  });

  it('say by status and as HTML why there is none', async () => {
    const response = await deployedEdge('/r/filled/never');
    expect([response.status, response.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
  });

  it('are shown by the rules of pulls: by certificate, and with the limit of failed logins', async () => {
    await store('team/a', 'published');
    const keys: string[] = [];
    const LOGIN_LIMITER = { limit: ({ key }: { key: string }) => Promise.resolve({ success: keys.push(key) < 2 }) };
    const vars = {
      REALMS: [{ pattern: 'team/*', realm: 'team' }],
      ACCESS: { service: 'registry.example', realms: { team: { certificates: [{ subject: 'OU=team' }] } } },
      LOGIN_LIMITER,
    };
    const anybody = directEdge(bucket, { vars });
    const wrong = { headers: { authorization: `Basic ${btoa('x:wrong')}`, 'cf-connecting-ip': '192.0.2.1' } };
    expect((await anybody('/r/team/a')).status).toBe(401);
    expect((await anybody('/r/team/a', wrong)).status).toBe(401);
    expect((await anybody('/r/team/a', wrong)).status).toBe(429);
    expect(keys).toEqual(['login:192.0.2.1', 'login:192.0.2.1']);
    expect((await directEdge(bucket, { vars, cf: certificateOf('CN=host,OU=team') })('/r/team/a')).status).toBe(200);
  });
});
