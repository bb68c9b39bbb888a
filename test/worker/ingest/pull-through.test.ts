/**
 * Filling through the Worker's own seam, over a bucket that fails and over an entrypoint with a cache in front; the
 * upstream is a table of answers.
 */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { blobKey, tagKey } from '../../../src/registry/keys.ts';
import { decodeOriginMark, encodeOriginMark } from '../../../src/registry/origin-mark.ts';
import { encodeTag } from '../../../src/registry/records.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import { type Ask, behindCache, directEdge, errorOf } from '../edge.ts';
import { digestOf, hash, nameOf, tagOf } from '../seed.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

const SCHEMA2 = 'application/vnd.docker.distribution.manifest.v2+json';
const MODERN = { accept: `${SCHEMA2}, application/vnd.oci.image.manifest.v1+json` };

/** Address (without query) → answer; everything else is not there. */
const upstream = new Map<string, () => Response | Promise<Response>>();
const asked: string[] = [];

beforeAll(() => {
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    asked.push(`${init.method ?? 'GET'} ${url}`);
    const response = await (upstream.get(url)?.() ??
      new Response('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', { status: 404 }));
    return init.method === 'HEAD' ? new Response(null, response) : response;
  });
});

afterAll(() => {
  vi.unstubAllGlobals();
});

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text));

/** Puts an image upstream; gives the digests of its manifest and its one layer. */
async function addImage(
  host: string,
  name: string,
  tag: string,
  salt = '',
): Promise<{ readonly manifest: string; readonly layer: string; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const layer = bytesOf(`the layer of ${host}/${name}:${tag} ${salt}`);
  const config = bytesOf(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      created: '2026-01-01T00:00:00Z',
      config: {},
      rootfs: { type: 'layers', diff_ids: [await hash(bytesOf(`unpacked ${salt}`))] },
      history: [{ created: '2026-01-01T00:00:00Z', created_by: 'a test' }],
    }),
  );
  const descriptor = async (mediaType: string, bytes: Uint8Array<ArrayBuffer>): Promise<Record<string, unknown>> => ({
    mediaType,
    size: bytes.length,
    digest: await hash(bytes),
  });
  const manifest = bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: SCHEMA2,
      config: await descriptor('application/vnd.docker.container.image.v1+json', config),
      layers: [await descriptor('application/vnd.docker.image.rootfs.diff.tar.gzip', layer)],
    }),
  );
  const digest = await hash(manifest);
  const base = `https://${host}/v2/${name}`;
  const send = (bytes: Uint8Array<ArrayBuffer>, headers: Record<string, string>) => (): Response =>
    new Response(bytes, { headers: { ...headers, 'content-length': String(bytes.length) } });
  for (const reference of [tag, digest])
    upstream.set(
      `${base}/manifests/${reference}`,
      send(manifest, { 'content-type': SCHEMA2, 'docker-content-digest': digest }),
    );
  for (const blob of [layer, config]) upstream.set(`${base}/blobs/${await hash(blob)}`, send(blob, {}));
  return { manifest: digest, layer: await hash(layer), bytes: layer };
}

const rulesFor = (host: string, more: Record<string, unknown> = {}): { readonly ORIGINS: unknown } => ({
  ORIGINS: [{ name: 'up', pattern: '*', upstream: `https://${host}`, ...more }],
});

/** The bucket as it is, but for what fails. */
function failing(how: Partial<Pick<R2Bucket, 'put' | 'createMultipartUpload'>>): R2Bucket {
  return new Proxy(bucket, {
    get: (target, property) => {
      const value: unknown =
        property in how ? (how as Record<PropertyKey, unknown>)[property] : Reflect.get(target, property);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/** Makes a stored tag look as if it had last been compared so many seconds ago. */
async function age(name: string, tag: string, seconds: number, gone: number | null = null): Promise<void> {
  const key = tagKey(nameOf(name), tagOf(tag));
  const object = await bucket.get(key);
  const mark = decodeOriginMark(object?.customMetadata ?? {});
  if (object === null || mark === null) throw new Error('the tag was not fetched');
  const past = Date.now() - seconds * 1000;
  const customMetadata = {
    ...object.customMetadata,
    ...encodeOriginMark({ ...mark, checked: past, gone: gone === null ? null : Date.now() - gone * 1000 }),
  };
  await bucket.put(key, await object.arrayBuffer(), { customMetadata });
}

/** Sets the time at which a stored tag expires. */
async function setExpiry(key: string, expires: number): Promise<void> {
  const object = await bucket.get(key);
  const mark = decodeOriginMark(object?.customMetadata ?? {});
  if (object === null || mark === null) throw new Error('the tag was not fetched');
  const customMetadata = { ...object.customMetadata, ...encodeOriginMark({ ...mark, expires }) };
  await bucket.put(key, await object.arrayBuffer(), { customMetadata });
}

const get = async (edge: Ask, path: string): Promise<Response> => edge(path, { headers: MODERN });

describe('a repository that is filled', () => {
  it.each([
    ['straight', directEdge],
    ['behind a cache', (...[own, options]: Parameters<typeof directEdge>) => behindCache(own, options)],
  ] as const)('is answered from the upstream, then from the bucket: %s', async (title, edgeOver) => {
    const host = `${title.replaceAll(' ', '-')}.example`;
    const name = `a/${title.replaceAll(' ', '-')}`;
    const { manifest, layer, bytes } = await addImage(host, name, 'one');
    const edge = edgeOver(bucket, { vars: rulesFor(host) });
    const first = await get(edge, `/v2/${name}/manifests/one`);
    expect([first.status, first.headers.get('docker-content-digest'), first.headers.get('warning')]).toEqual([
      200,
      manifest,
      null,
    ]);
    expect(await hash(new Uint8Array(await first.arrayBuffer()))).toBe(manifest);
    const blob = await get(edge, `/v2/${name}/blobs/${layer}`);
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(bytes);
    expect(blob.headers.get('content-length')).toBe(String(bytes.length));
    const before = asked.length;
    expect(await hash(new Uint8Array(await (await get(edge, `/v2/${name}/manifests/one`)).arrayBuffer()))).toBe(
      manifest,
    );
    expect(new Uint8Array(await (await get(edge, `/v2/${name}/blobs/${layer}`)).arrayBuffer())).toEqual(bytes);
    expect(asked.length).toBe(before);
  });

  it('says by HEAD how long a blob is, without fetching it', async () => {
    const { layer, bytes } = await addImage('head.example', 'head', 'one');
    const edge = directEdge(bucket, { vars: rulesFor('head.example') });
    const head = await edge(`/v2/head/blobs/${layer}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
    expect(asked.filter((one) => one.includes('head.example'))).toEqual([
      `HEAD https://head.example/v2/head/blobs/${layer}`,
    ]);
    expect(await bucket.head(blobKey(PUBLIC_REALM, digestOf(layer)))).toBeNull();
  });

  it('is not filled for whoever may not see it', async () => {
    await addImage('hidden.example', 'secret/a', 'one');
    const edge = directEdge(bucket, {
      vars: { ...rulesFor('hidden.example'), REALMS: [{ pattern: 'secret/*', realm: 'secret' }], ACCESS: {} },
    });
    expect((await get(edge, '/v2/secret/a/manifests/one')).status).not.toBe(200);
    expect(asked.some((one) => one.includes('hidden.example'))).toBe(false);
  });

  it.each([
    ['straight', directEdge],
    ['behind a cache', (...[own, options]: Parameters<typeof directEdge>) => behindCache(own, options)],
  ] as const)(
    'sends clients to where the upstream redirects to, with no word of it kept: %s',
    async (title, edgeOver) => {
      const host = `redirect-${title.replaceAll(' ', '-')}.example`;
      const { layer, bytes } = await addImage(host, 'r', 'one');
      const elsewhere = `https://storage.example/${layer}?signature=of-the-moment`;
      upstream.set(elsewhere, () => new Response(bytes));
      upstream.set(
        `https://${host}/v2/r/blobs/${layer}`,
        () => new Response(null, { status: 307, headers: { location: elsewhere } }),
      );
      const got = await get(edgeOver(bucket, { vars: rulesFor(host, { blobs: 'redirect' }) }), `/v2/r/blobs/${layer}`);
      expect([got.status, got.headers.get('location'), got.headers.get('cache-control')]).toEqual([
        307,
        elsewhere,
        'no-store',
      ]);
    },
  );
});

describe('a bucket that takes nothing', () => {
  it('does not keep a client from its image, which the upstream is asked for each time', async () => {
    const { manifest, layer, bytes } = await addImage('full.example', 'full', 'one');
    const full = failing({
      put: () => Promise.reject(new Error('no write today')),
      createMultipartUpload: () => Promise.reject(new Error('no write today')),
    });
    const edge = directEdge(full, { vars: rulesFor('full.example'), retry: { attempts: 1 } });
    for (let times = 0; times < 2; times++) {
      for (const reference of ['one', manifest]) {
        const got = await get(edge, `/v2/full/manifests/${reference}`);
        expect([got.status, await hash(new Uint8Array(await got.arrayBuffer()))]).toEqual([200, manifest]);
      }
      expect(new Uint8Array(await (await get(edge, `/v2/full/blobs/${layer}`)).arrayBuffer())).toEqual(bytes);
    }
  });
});

describe('a bucket that a newer gantry wrote', () => {
  const storedKeys = async (name: string): Promise<readonly string[]> =>
    (await bucket.list({ prefix: `repositories/${name}/_tags/` })).objects.map(({ key }) => key);

  async function pullAll(host: string, name: string): Promise<string> {
    const { manifest, layer, bytes } = await addImage(host, name, 'one');
    // A bucket that this isolate has not seen.
    const edge = directEdge(failing({}), { vars: rulesFor(host), retry: { attempts: 1 } });
    for (const reference of ['one', manifest])
      expect((await get(edge, `/v2/${name}/manifests/${reference}`)).headers.get('docker-content-digest')).toBe(
        manifest,
      );
    expect(new Uint8Array(await (await get(edge, `/v2/${name}/blobs/${layer}`)).arrayBuffer())).toEqual(bytes);
    return layer;
  }

  it('is not written to, as its format says, and clients get their image all the same', async () => {
    await bucket.put('gantry.json', '{"version":99}');
    try {
      const layer = await pullAll('format.example', 'format');
      expect((await bucket.list({ prefix: 'repositories/format/' })).objects).toEqual([]);
      expect(await bucket.head(blobKey(PUBLIC_REALM, digestOf(layer)))).toBeNull();
    } finally {
      await bucket.delete('gantry.json');
    }
  });

  it.each([
    ['newer-list', 'repositories/newer-list/_tags.json'],
    ['newer-catalog', 'catalog.json'],
  ])('gets no tag that its lists would lack: %s', async (name, key) => {
    const before = await bucket.get(key);
    const text = await before?.text();
    const body = '{"version":2,"count":0,"leaves":[],';
    await bucket.put(key, `${body}\n"names":[],\n"details":[]}\n`, {
      customMetadata: { 'gantry-list-header': String(body.length) },
    });
    try {
      await pullAll(`${name}.example`, name);
      expect(await storedKeys(name)).toEqual([]);
    } finally {
      if (text === undefined) await bucket.delete(key);
      else await bucket.put(key, text, { customMetadata: before?.customMetadata ?? {} });
    }
  });
});

describe('a stored tag', () => {
  it('is answered at once in its stale window, and compared behind the client’s back', async () => {
    const old = await addImage('stale.example', 'stale', 'one');
    const edge = directEdge(bucket, { vars: rulesFor('stale.example', { lifetime: 60, stale: 3_600 }) });
    expect((await get(edge, '/v2/stale/manifests/one')).headers.get('docker-content-digest')).toBe(old.manifest);
    await age('stale', 'one', 120);
    const next = await addImage('stale.example', 'stale', 'one', 'moved');
    // Another isolate, which has not compared it yet.
    const other = directEdge(bucket, { vars: rulesFor('stale.example', { lifetime: 60, stale: 3_600 }) });
    expect((await get(other, '/v2/stale/manifests/one')).headers.get('docker-content-digest')).toBe(old.manifest);
    await vi.waitFor(async () => {
      expect((await get(other, '/v2/stale/manifests/one')).headers.get('docker-content-digest')).toBe(next.manifest);
    });
  });

  it('is kept for the grace, then emptied, taken from the list, and known to be gone', async () => {
    await addImage('gone.example', 'gone', 'one');
    const vars = rulesFor('gone.example', { lifetime: 60, stale: 0, grace: 3_600 });
    await get(directEdge(bucket, { vars }), '/v2/gone/manifests/one');
    upstream.delete('https://gone.example/v2/gone/manifests/one');
    await age('gone', 'one', 120);
    expect((await get(directEdge(bucket, { vars: { ...vars } }), '/v2/gone/manifests/one')).status).toBe(200);
    expect(
      decodeOriginMark((await bucket.head('repositories/gone/_tags/one'))?.customMetadata ?? {})?.gone,
    ).not.toBeNull();
    await age('gone', 'one', 120, 7_200);
    const edge = directEdge(bucket, { vars: { ...vars } });
    const got = await get(edge, '/v2/gone/manifests/one');
    expect([got.status, (await errorOf(got)).detail.reason]).toEqual([404, 'tag-unknown']);
    expect((await bucket.head('repositories/gone/_tags/one'))?.size).toBe(0);
    const before = asked.length;
    expect((await get(edge, '/v2/gone/manifests/one')).status).toBe(404);
    expect(asked.length).toBe(before);
    const back = await addImage('gone.example', 'gone', 'one');
    await age('gone', 'one', 120, 7_200);
    const again = await get(directEdge(bucket, { vars: { ...vars } }), '/v2/gone/manifests/one');
    expect([again.status, again.headers.get('docker-content-digest')]).toEqual([200, back.manifest]);
  });

  it('that gc removed because nobody pulled it is fetched again, and 503 while that is not possible', async () => {
    const { manifest } = await addImage('expired.example', 'expired', 'one');
    const vars = rulesFor('expired.example', { lifetime: 60, stale: 600, grace: 600 });
    await get(directEdge(bucket, { vars }), '/v2/expired/manifests/one');
    const key = tagKey(nameOf('expired'), tagOf('one'));
    const mark = decodeOriginMark((await bucket.head(key))?.customMetadata ?? {});
    expect((mark?.expires ?? 0) - (mark?.checked ?? 0)).toBe(90 * 86_400_000);
    if (mark === null) throw new Error('no mark');
    const { body, metadata } = encodeTag({ updated: '2026-01-01T00:00:00Z', forms: [], missing: [] }, []);
    const customMetadata = {
      ...metadata,
      ...encodeOriginMark({ origin: mark.origin, digest: mark.digest, checked: 0, gone: 0 }),
    };
    await bucket.put(key, body, { customMetadata });
    const answer = upstream.get('https://expired.example/v2/expired/manifests/one');
    upstream.set('https://expired.example/v2/expired/manifests/one', () => new Response('{}', { status: 401 }));
    expect((await get(directEdge(bucket, { vars: { ...vars } }), '/v2/expired/manifests/one')).status).toBe(503);
    upstream.set('https://expired.example/v2/expired/manifests/one', answer ?? (() => new Response()));
    const again = await get(directEdge(bucket, { vars: { ...vars } }), '/v2/expired/manifests/one');
    expect([again.status, again.headers.get('docker-content-digest')]).toEqual([200, manifest]);
    expect((await bucket.head(key))?.size).toBeGreaterThan(0);
  });

  it('is noted as pulled once a day, whether the upstream answers or not, and not with each pull', async () => {
    await addImage('noted.example', 'noted', 'one');
    const vars = rulesFor('noted.example', { lifetime: 60, stale: 0 });
    await get(directEdge(bucket, { vars }), '/v2/noted/manifests/one');
    const key = tagKey(nameOf('noted'), tagOf('one'));
    const expires = async (): Promise<number> =>
      decodeOriginMark((await bucket.head(key))?.customMetadata ?? {})?.expires ?? NaN;
    const first = await expires();
    // Two days later, by the mark.
    await age('noted', 'one', 2 * 86_400);
    await setExpiry(key, first - 2 * 86_400_000);
    const { etag } = (await bucket.head(key)) ?? {};
    const edge = directEdge(bucket, { vars: { ...vars } });
    await get(edge, '/v2/noted/manifests/one');
    expect(await expires()).toBeGreaterThanOrEqual(first);
    expect((await bucket.head(key))?.etag).toBe(etag);
    const { version } = (await bucket.head(key)) ?? {};
    await get(edge, '/v2/noted/manifests/one');
    expect((await bucket.head(key))?.version).toBe(version);
    await age('noted', 'one', 2 * 86_400);
    await setExpiry(key, first - 2 * 86_400_000);
    upstream.set('https://noted.example/v2/noted/manifests/one', () => new Response('{}', { status: 401 }));
    expect((await get(directEdge(bucket, { vars: { ...vars } }), '/v2/noted/manifests/one')).status).toBe(200);
    expect(await expires()).toBeGreaterThanOrEqual(first);
  });

  it('that is gone is 503, not 404, while nobody can say whether it has come back', async () => {
    await addImage('perhaps.example', 'perhaps', 'one');
    const vars = rulesFor('perhaps.example', { lifetime: 60, stale: 0, grace: 0 });
    await get(directEdge(bucket, { vars }), '/v2/perhaps/manifests/one');
    upstream.delete('https://perhaps.example/v2/perhaps/manifests/one');
    await age('perhaps', 'one', 120);
    expect((await get(directEdge(bucket, { vars: { ...vars } }), '/v2/perhaps/manifests/one')).status).toBe(404);
    await age('perhaps', 'one', 120, 7_200);
    upstream.set('https://perhaps.example/v2/perhaps/manifests/one', () => new Response('{}', { status: 401 }));
    expect((await get(directEdge(bucket, { vars: { ...vars } }), '/v2/perhaps/manifests/one')).status).toBe(503);
  });
});
