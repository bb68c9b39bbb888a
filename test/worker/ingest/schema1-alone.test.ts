/**
 * Tags that the upstream has as schema 1 only: engines that refuse schema 1 get a schema 2, derived when the first of
 * them asks.
 */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { keyFromRandom } from '../../../src/manifest/signing/key.ts';
import { blobKey, manifestKey, tagKey } from '../../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import { type Ask, directEdge, errorOf } from '../edge.ts';
import { digestOf, hash, nameOf, tagOf } from '../seed.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

const SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
const SCHEMA2 = 'application/vnd.docker.distribution.manifest.v2+json';
const OCI = 'application/vnd.oci.image.manifest.v1+json';
/** What Docker sends; versions from 28.2 on refuse schema 1 all the same. */
const DOCKER = { accept: `${SCHEMA1}, application/json, ${OCI}, ${SCHEMA2}`, 'user-agent': 'docker/28.5.2 os/linux' };

const upstream = new Map<string, () => Response | Promise<Response>>();
const requests: string[] = [];
beforeAll(() => {
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    requests.push(`${init.method ?? 'GET'} ${url}`);
    const response = await (upstream.get(url)?.() ?? new Response('{}', { status: 404 }));
    return init.method === 'HEAD' ? new Response(null, response) : response;
  });
});
afterAll(() => {
  vi.unstubAllGlobals();
});
beforeEach(() => {
  requests.length = 0;
});

const key = keyFromRandom(new Uint8Array(32).fill(7));
if (key === null) throw new Error('no key');
const signer = createSigner(key);
const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text));

async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Response(text).body?.pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

interface Image {
  readonly edge: Ask;
  readonly name: string;
  readonly layers: readonly string[];
  readonly path: string;
  readonly blobRequests: () => string[];
}

/** Puts a schema 1 with some layers upstream, and an edge in front of it. */
async function addImage(name: string, layers: readonly Uint8Array<ArrayBuffer>[], rule: object = {}): Promise<Image> {
  const base = `https://${name}.example/v2/${name}`;
  const sums = await Promise.all(layers.map((layer) => hash(layer)));
  const id = (at: number): string => String(at + 1).repeat(64);
  const texts = sums.map((_, at) => ({
    id: id(at),
    ...(at > 0 && { parent: id(at - 1) }),
    os: 'linux',
    architecture: 'amd64',
  }));
  const payload = {
    schemaVersion: 1,
    name,
    tag: 'old',
    architecture: 'amd64',
    fsLayers: sums.map((blobSum) => ({ blobSum })).reverse(),
    history: texts.map((text) => ({ v1Compatibility: JSON.stringify(text) })).reverse(),
  };
  const document = Uint8Array.from(signer.sign(bytesOf(JSON.stringify(payload)), '2026-11-24T00:00:00Z'));
  const send =
    (bytes: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    (): Response =>
      new Response(bytes, { headers: { ...headers, 'content-length': String(bytes.length) } });
  upstream.set(`${base}/manifests/old`, send(document, { 'content-type': SCHEMA1 }));
  for (const [at, layer] of layers.entries()) upstream.set(`${base}/blobs/${sums[at] ?? ''}`, send(layer));
  const vars = { ORIGINS: [{ name: 'up', pattern: '*', upstream: `https://${name}.example`, ...rule }] };
  return {
    edge: directEdge(bucket, { vars }),
    name,
    layers: sums,
    path: `/v2/${name}/manifests/old`,
    blobRequests: () => requests.filter((one) => one.startsWith('GET') && one.includes('/blobs/')),
  };
}

const typeOf = (response: Response): string | null => response.headers.get('content-type');

describe('a tag that the upstream has as schema 1 only', () => {
  it('is answered as schema 1 to old engines, and no layer is read for them', async () => {
    const { edge, path, blobRequests } = await addImage('old-engine', [await gzip('one')]);
    const response = await edge(path, { headers: { 'user-agent': 'docker/1.9.1 os/linux arch/amd64' } });
    expect([response.status, typeOf(response)]).toEqual([200, SCHEMA1]);
    expect(typeOf(await edge(path, { headers: { accept: '*/*' } }))).toBe(SCHEMA1);
    expect(blobRequests()).toEqual([]);
  });

  it('is unpacked once for the first client that takes schema 2, by HEAD or GET, and all that it needs is stored', async () => {
    const layers = [await gzip('one'), bytesOf('two, a plain tar'), await gzip('three')];
    const image = await addImage('modern', layers);
    const head = await image.edge(image.path, { method: 'HEAD', headers: DOCKER });
    expect([head.status, typeOf(head)]).toEqual([200, SCHEMA2]);
    const digest = head.headers.get('docker-content-digest') ?? '';
    const first = requests.length;
    const got = await image.edge(image.path, { headers: DOCKER });
    const manifest = await got.json<{ config: { digest: string }; layers: { digest: string; size: number }[] }>();
    expect(manifest.layers.map(({ digest: one, size }) => [one, size])).toEqual(
      image.layers.map((one, at) => [one, layers[at]?.length]),
    );
    const config = await image.edge(`/v2/${image.name}/blobs/${manifest.config.digest}`);
    expect(await config.json()).toMatchObject({
      rootfs: { diff_ids: await Promise.all(['one', 'two, a plain tar', 'three'].map((text) => hash(bytesOf(text)))) },
    });
    for (const layer of image.layers) expect(await bucket.head(blobKey(PUBLIC_REALM, digestOf(layer)))).not.toBeNull();
    expect(await bucket.head(manifestKey(nameOf(image.name), digestOf(digest)))).not.toBeNull();
    expect(typeOf(await image.edge(image.path, { headers: { accept: OCI } }))).toBe(OCI);
    expect(typeOf(await image.edge(image.path, { headers: { 'user-agent': 'docker/1.9.1' } }))).toBe(SCHEMA1);
    expect(requests.slice(first)).toEqual([]);
    expect(image.blobRequests()).toHaveLength(3);
  });

  it('is unpacked once for many clients at a time', async () => {
    const image = await addImage('many', [await gzip('shared')]);
    await image.edge(image.path, { headers: { 'user-agent': 'docker/1.9.1' } });
    const responses = await Promise.all(Array.from({ length: 5 }, () => image.edge(image.path, { headers: DOCKER })));
    expect(responses.map(typeOf)).toEqual(Array.from({ length: 5 }, () => SCHEMA2));
    expect(image.blobRequests()).toHaveLength(1);
  });

  it('whose layer cannot be unpacked says so, and is not read again', async () => {
    const image = await addImage('bzip2', [bytesOf('BZh91AY&SY and more')]);
    const response = await image.edge(image.path, { headers: { accept: SCHEMA2 } });
    expect(response.status).toBe(404);
    expect(await errorOf(response)).toMatchObject({ detail: { reason: 'schema2-layers-unreadable' } });
    expect((await image.edge(image.path, { headers: DOCKER })).headers.get('content-type')).toBe(SCHEMA1);
    expect(image.blobRequests()).toHaveLength(1);
  });

  it('whose layers do not come now is 503, or the schema 1 with a warning, and is tried again', async () => {
    const layer = await gzip('comes later');
    const image = await addImage('later', [layer]);
    const blob = `https://later.example/v2/later/blobs/${image.layers[0] ?? ''}`;
    const send = upstream.get(blob);
    upstream.set(blob, () => new Response('down', { status: 503 }));
    const refused = await image.edge(image.path, { headers: { accept: SCHEMA2 } });
    expect([refused.status, await errorOf(refused)]).toMatchObject([
      503,
      { detail: { reason: 'upstream-unavailable' } },
    ]);
    const schema1 = await image.edge(image.path, { headers: DOCKER });
    expect([schema1.status, typeOf(schema1), schema1.headers.get('warning')]).toEqual([
      200,
      SCHEMA1,
      expect.stringContaining('ORIGIN_UNAVAILABLE'),
    ]);
    if (send !== undefined) upstream.set(blob, send);
    expect(typeOf(await image.edge(image.path, { headers: DOCKER }))).toBe(SCHEMA2);
  });

  it('under a rule that redirects blobs is unpacked without storing them', async () => {
    const image = await addImage('redirected', [await gzip('passes by')], { blobs: 'redirect' });
    expect(typeOf(await image.edge(image.path, { headers: DOCKER }))).toBe(SCHEMA2);
    expect(await bucket.head(blobKey(PUBLIC_REALM, digestOf(image.layers[0] ?? '')))).toBeNull();
  });

  it('that somebody publishes meanwhile is answered as published', async () => {
    const image = await addImage('published', [await gzip('x')]);
    await image.edge(image.path, { headers: { 'user-agent': 'docker/1.9.1' } });
    const tag = tagKey(nameOf(image.name), tagOf('old'));
    const blob = `https://published.example/v2/published/blobs/${image.layers[0] ?? ''}`;
    const send = upstream.get(blob);
    upstream.set(blob, async () => {
      const object = await bucket.get(tag);
      const { 'gantry-tag': index = '' } = object?.customMetadata ?? {};
      // Bytes behind the manifests make it another object with the same forms.
      await bucket.put(tag, `${(await object?.text()) ?? ''} `, { customMetadata: { 'gantry-tag': index } });
      return (await send?.()) ?? new Response('', { status: 404 });
    });
    expect(typeOf(await image.edge(image.path, { headers: DOCKER }))).toBe(SCHEMA1);
  });
});
