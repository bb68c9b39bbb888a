/** What one client request may cost the upstream, the isolate and the bucket. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FILL_LIMITS, SLOT_KINDS } from '../../../src/worker/ingest/fill-limits.ts';
import { WAITING_MAX } from '../../../src/worker/ingest/fill-slots.ts';
import { titleOf } from '../../attacks.ts';
import { type Ask, directEdge, errorOf } from '../edge.ts';
import { hash } from '../seed.ts';
import { copyAged } from './aged-tag.ts';
import { bytesOf, fakeUpstream, indexOf, manifestOf, type Stored, stubFetch, TYPES } from './fake-upstream.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

beforeAll(stubFetch);
afterAll(() => {
  vi.unstubAllGlobals();
});

const MIB = 1024 * 1024;

const edgeTo = (host: string, more: Record<string, unknown> = {}): Ask =>
  directEdge(bucket, { vars: { ORIGINS: [{ name: 'up', pattern: '*', upstream: `https://${host}`, ...more }] } });

const get = (edge: Ask, path: string, method = 'GET'): Promise<Response> =>
  edge(path, { method, headers: { accept: `${TYPES.index}, ${TYPES.schema2}` } });

const reasonOf = async (response: Response): Promise<unknown> => [
  response.status,
  (await errorOf(response)).detail.reason,
];

/** A body without end, and how much of it was read. */
function endless(): { readonly body: ReadableStream<Uint8Array>; readonly sent: () => number } {
  let sent = 0;
  const chunk = new Uint8Array(64 * 1024).fill(0x20);
  return {
    body: new ReadableStream({
      pull: (controller) => {
        sent += chunk.length;
        controller.enqueue(chunk);
      },
    }),
    sent: () => sent,
  };
}

describe('the budget of a fill', () => {
  it(
    titleOf('lists-in-lists'),
    async () => {
      const upstream = fakeUpstream('nested.example');
      const lists: Stored[] = [];
      for (let list = 0; list < 24; list += 1) {
        const images: Stored[] = [];
        for (let at = 0; at < 24; at += 1) images.push(await upstream.image('nested', `${String(list)}-${String(at)}`));
        lists.push(await upstream.manifest('nested', TYPES.index, indexOf(TYPES.schema2, images)));
      }
      await upstream.manifest('nested', TYPES.index, indexOf(TYPES.index, lists), 'one');
      const response = await get(edgeTo('nested.example'), '/v2/nested/manifests/one');
      expect([response.status, response.headers.get('content-type')]).toEqual([200, TYPES.index]);
      const children = upstream.requests.filter((one) => one.includes('/manifests/sha256:'));
      expect(children.length).toBeLessThanOrEqual(24);
      expect(upstream.requests.length).toBeLessThanOrEqual(FILL_LIMITS.tag.requests);
    },
    30_000,
  );

  it('reaches the images of a list in a list', async () => {
    const upstream = fakeUpstream('inner.example');
    const image = await upstream.image('inner', 'only');
    const list = await upstream.manifest('inner', TYPES.index, indexOf(TYPES.schema2, [image]));
    await upstream.manifest('inner', TYPES.index, indexOf(TYPES.index, [list]), 'one');
    const edge = edgeTo('inner.example');
    expect((await edge('/v2/inner/manifests/one', { headers: { accept: TYPES.schema2 } })).status).toBe(200);
  });

  it(titleOf('upstream-endless'), async () => {
    const upstream = fakeUpstream('endless.example');
    const images = await Promise.all(
      Array.from({ length: 24 }, (_, at) => upstream.image('endless', `image ${String(at)}`)),
    );
    await upstream.manifest('endless', TYPES.index, indexOf(TYPES.schema2, images), 'one');
    // Each answer comes after four redirects.
    for (const [path, answer] of [...upstream.answers]) {
      for (let hop = 0; hop < 4; hop += 1) {
        const [from, to] = [hop === 0 ? path : `${path}?hop=${String(hop)}`, `${path}?hop=${String(hop + 1)}`];
        upstream.answers.set(from, () => new Response(null, { status: 307, headers: { location: to } }));
      }
      upstream.answers.set(`${path}?hop=4`, answer);
    }
    const edge = edgeTo('endless.example');
    const response = await get(edge, '/v2/endless/manifests/one');
    expect([response.status, response.headers.get('cache-control')]).toEqual([502, 'no-store']);
    expect((await errorOf(response)).detail.reason).toBe('upstream-over-limit');
    expect(upstream.requests).toHaveLength(FILL_LIMITS.tag.requests);
    expect(await reasonOf(await get(edge, '/v2/endless/manifests/one'))).toEqual([502, 'upstream-over-limit']);
    expect(upstream.requests).toHaveLength(FILL_LIMITS.tag.requests);
    expect((await bucket.list({ prefix: 'repositories/endless/' })).objects).toEqual([]);
  });

  it('counts the bytes of all documents of a tag', async () => {
    const upstream = fakeUpstream('heavy.example');
    const images = await Promise.all(
      Array.from({ length: 5 }, async (_, at) => {
        const config = await upstream.blob('heavy', bytesOf(`${JSON.stringify({ at })}${' '.repeat(2 * MIB)}`));
        return upstream.manifest('heavy', TYPES.schema2, manifestOf(config, []));
      }),
    );
    await upstream.manifest('heavy', TYPES.index, indexOf(TYPES.schema2, images), 'one');
    const response = await get(edgeTo('heavy.example'), '/v2/heavy/manifests/one');
    expect(await reasonOf(response)).toEqual([502, 'upstream-over-limit']);
  });

  it(titleOf('manifest-huge'), async () => {
    const upstream = fakeUpstream('huge.example');
    const edge = edgeTo('huge.example');
    const [manifest, list] = [endless(), endless()];
    upstream.answers.set(
      '/v2/huge/manifests/one',
      () => new Response(manifest.body, { headers: { 'content-type': TYPES.schema2 } }),
    );
    expect(await reasonOf(await get(edge, '/v2/huge/manifests/one'))).toEqual([502, 'upstream-over-limit']);
    expect(manifest.sent()).toBeLessThan(5 * MIB);
    const config = { digest: await hash(bytesOf('x')), bytes: new Uint8Array(4 * MIB + 1) };
    await upstream.manifest('huge', TYPES.schema2, manifestOf(config, []), 'two');
    upstream.answers.set(`/v2/huge/blobs/${config.digest}`, () => new Response('x'));
    expect(await reasonOf(await get(edge, '/v2/huge/manifests/two'))).toEqual([502, 'upstream-over-limit']);
    upstream.answers.set('/v2/huge/tags/list', () => new Response(list.body));
    expect(await reasonOf(await get(edge, '/v2/huge/tags/list'))).toEqual([502, 'upstream-over-limit']);
    expect(list.sent()).toBeLessThan(9 * MIB);
  });

  it(titleOf('blob-huge'), async () => {
    const upstream = fakeUpstream('large.example');
    const edge = edgeTo('large.example', { largest: 1 });
    const { digest } = await upstream.blob('large', new Uint8Array(MIB + 1));
    expect(await reasonOf(await get(edge, `/v2/large/blobs/${digest}`))).toEqual([502, 'upstream-over-limit']);
    const other = await hash(bytesOf('without end'));
    const { body, sent } = endless();
    upstream.answers.set(`/v2/large/blobs/${other}`, () => new Response(body));
    expect(await reasonOf(await get(edge, `/v2/large/blobs/${other}`))).toEqual([502, 'upstream-over-limit']);
    expect(sent()).toBeLessThan(2 * MIB);
    for (const one of [digest, other])
      expect(await bucket.head(`blobs/public/sha256/${one.slice('sha256:'.length)}`)).toBeNull();
    const fits = await upstream.blob('large', new Uint8Array(MIB));
    expect((await (await get(edge, `/v2/large/blobs/${fits.digest}`)).arrayBuffer()).byteLength).toBe(MIB);
  });

  it(titleOf('blob-claimed'), async () => {
    const upstream = fakeUpstream('claims.example');
    const digest = await hash(bytesOf('nobody has this'));
    upstream.answers.set(
      `/v2/claims/blobs/${digest}`,
      () => new Response('something else', { headers: { 'content-length': '14' } }),
    );
    const head = await get(edgeTo('claims.example'), `/v2/claims/blobs/${digest}`, 'HEAD');
    expect([head.status, head.headers.get('content-length'), head.headers.get('cache-control')]).toEqual([
      200,
      '14',
      'no-store',
    ]);
  });
});

describe('the slots of an isolate', () => {
  it(
    titleOf('fills-at-once'),
    async () => {
      const upstream = fakeUpstream('busy.example');
      const edge = edgeTo('busy.example');
      const stored = await upstream.image('busy', 'stored', 'stored');
      expect((await get(edge, '/v2/busy/manifests/stored')).status).toBe(200);
      const most = SLOT_KINDS.documents.most;
      let open = (): void => undefined;
      const opened = new Promise<void>((resolve) => (open = resolve));
      const tags = Array.from({ length: most + WAITING_MAX }, (_, at) => `t${String(at)}`);
      const answer = upstream.answers.get('/v2/busy/manifests/stored');
      for (const [at, tag] of tags.entries()) {
        upstream.answers.set(`/v2/busy/manifests/${tag}`, async () => {
          await opened;
          // Most of them are absent, so that the test is short.
          const isThere = at < most && answer !== undefined;
          return isThere ? answer() : new Response('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', { status: 404 });
        });
      }
      const begun = (): number => new Set(upstream.requests.filter((one) => one.includes('/manifests/t'))).size;
      const responses = tags.map((tag) => get(edge, `/v2/busy/manifests/${tag}`));
      await vi.waitFor(() => expect(begun()).toBe(most));
      const refused = await get(edge, '/v2/busy/manifests/one-more');
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
      const { code, message, detail } = await errorOf(refused);
      expect([code, detail.reason]).toEqual(['TOOMANYREQUESTS', 'fill-limited']);
      expect(message).toContain('try again in a few seconds');
      // What is stored is answered all the same.
      expect((await get(edge, '/v2/busy/manifests/stored')).headers.get('docker-content-digest')).toBe(stored.digest);
      expect(begun()).toBe(most);
      open();
      const statuses = (await Promise.all(responses)).map(({ status }) => status);
      expect(statuses).toEqual(tags.map((_, at) => (at < most ? 200 : 404)));
    },
    30_000,
  );

  it('go to fetches of clients before searches that no client waits for', async () => {
    const upstream = fakeUpstream('searched.example');
    const { promise: opened, resolve: open } = Promise.withResolvers<undefined>();
    const tags = Array.from({ length: SLOT_KINDS.documents.most + WAITING_MAX }, (_, at) => `t${String(at)}`);
    const { digest } = await upstream.image('searched', 'one', 'one');
    const answer = upstream.answers.get('/v2/searched/manifests/one');
    if (answer === undefined) throw new Error('no image');
    for (const tag of tags) upstream.answers.set(`/v2/searched/manifests/${tag}`, answer);
    upstream.answers.set(`/v2/searched/referrers/${digest}`, async () => {
      await opened;
      return Response.json({ manifests: [] });
    });
    await upstream.image('searched', 'new', 'new');
    const edge = edgeTo('searched.example', { lifetime: 60, stale: 0 });
    expect((await get(edge, '/v2/searched/manifests/one')).status).toBe(200);
    await copyAged(bucket, 'searched', 'one', tags);
    try {
      // Each comparison starts a search for late signatures.
      const other = edgeTo('searched.example', { lifetime: 60, stale: 0 });
      const compared = await Promise.all(tags.map((tag) => get(other, `/v2/searched/manifests/${tag}`)));
      expect(new Set(compared.map(({ status }) => status))).toEqual(new Set([200]));
      const searches = (): number => upstream.requests.filter((one) => one.includes('/referrers/')).length;
      await vi.waitFor(() => expect(searches()).toBeGreaterThan(0));
      expect((await get(other, '/v2/searched/manifests/new')).status).toBe(200);
      expect(searches()).toBe(SLOT_KINDS.documents.most / 2);
    } finally {
      open(undefined);
    }
    // Each search ends with a look for cosign's tag. Those beyond the limit of waiting ones were not started.
    const ends = (): number => upstream.requests.filter((one) => one.endsWith('.sig')).length;
    await vi.waitFor(() => expect(ends()).toBe(WAITING_MAX + SLOT_KINDS.documents.most / 2), { timeout: 15_000 });
  }, 30_000);
});
