/** Images as files: `/r/<name>:<tag>.tar`. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EMPTY_LAYER } from '../../src/manifest/schema1.ts';
import { toBase64Url } from '../../src/registry/base64.ts';
import { type Form, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import type { Platform } from '../../src/registry/platform.ts';
import { PUBLIC_REALM, type RealmName } from '../../src/registry/realms.ts';
import { robotTokenText } from '../../src/registry/robot-token.ts';
import { watched } from './buckets.ts';
import { type Ask, comparable, directEdge, errorOf } from './edge.ts';
import { bytesOf, hash, seedBlob, type SeededForm, seedTag, seedTagList } from './seed.ts';
import { blobKey } from '../../src/registry/keys.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const edge = directEdge(bucket);

interface Member {
  readonly type: string;
  readonly bytes: Uint8Array;
  readonly target: string;
}

/** Reads a tar archive as strictly as a tar program: checksums, and two empty blocks at the end. */
function untar(archive: Uint8Array): Map<string, Member> {
  const members = new Map<string, Member>();
  const text = (at: number, length: number): string =>
    new TextDecoder().decode(archive.subarray(at, at + length)).replace(/\0.*$/s, '');
  let at = 0;
  while (archive[at] !== 0) {
    const header = archive.slice(at, at + 512);
    const expected = parseInt(text(at + 148, 8), 8);
    header.fill(0x20, 148, 156);
    expect(header.reduce((sum, byte) => sum + byte, 0)).toBe(expected);
    expect(text(at + 257, 6)).toBe('ustar');
    const size = parseInt(text(at + 124, 12), 8);
    const bytes = archive.slice(at + 512, at + 512 + size);
    members.set(text(at, 100), { type: text(at + 156, 1), bytes, target: text(at + 157, 100) });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  expect(archive.subarray(at).every((byte) => byte === 0)).toBe(true);
  expect(archive.length - at).toBe(1024);
  return members;
}

const json = (member: Member | undefined): unknown => JSON.parse(new TextDecoder().decode(member?.bytes));

interface SeedOptions {
  readonly platform?: Platform;
  readonly realm?: RealmName;
  readonly layerType?: string;
  readonly form?: Form;
  readonly history?: readonly object[];
}

const HISTORY = [{ created_by: 'ADD' }, { created_by: 'ENV', empty_layer: true }, { created_by: 'COPY' }];

/** Stores the blobs of an image with two layers. */
async function seedImage(salt: string, options: SeedOptions = {}): Promise<SeededForm & { layers: Uint8Array[] }> {
  const { platform = { os: 'linux', architecture: 'amd64' }, realm = PUBLIC_REALM, form = 'docker-schema2' } = options;
  const layers = [bytesOf(`${salt} base`.repeat(300)), bytesOf(`${salt} top`)];
  const digests = await Promise.all(layers.map((layer) => seedBlob(bucket, layer, realm)));
  const config = bytesOf(
    JSON.stringify({ ...platform, rootfs: { type: 'layers', diff_ids: digests }, history: options.history ?? HISTORY }),
  );
  const configDigest = await seedBlob(bucket, config, realm);
  const mediaType = options.layerType ?? MEDIA_TYPES.dockerLayerGzip;
  const bytes = bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM[form],
      config: { mediaType: MEDIA_TYPES.dockerConfig, digest: configDigest, size: config.length },
      layers: layers.map((layer, at) => ({ mediaType, digest: digests[at], size: layer.length })),
    }),
  );
  return { form, bytes, digest: await hash(bytes), layers };
}

async function seedList(children: readonly (readonly [SeededForm, Platform])[]): Promise<SeededForm> {
  const manifests = children.map(([child, platform]) => ({
    mediaType: MEDIA_TYPE_OF_FORM[child.form],
    digest: child.digest,
    size: child.bytes.length,
    platform,
  }));
  const form = 'docker-list';
  const bytes = bytesOf(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE_OF_FORM[form], manifests }));
  return { form, bytes, digest: await hash(bytes) };
}

async function seed(name: string, forms: readonly SeededForm[], tag = '1'): Promise<void> {
  await seedTag(bucket, name, tag, forms);
  await seedTagList(bucket, name, [tag]);
}

async function download(path: string, ask: Ask = edge): Promise<Map<string, Member>> {
  const response = await ask(path);
  expect(response.status).toBe(200);
  const archive = new Uint8Array(await response.arrayBuffer());
  expect(response.headers.get('content-length')).toBe(String(archive.length));
  return untar(archive);
}

interface ManifestJson {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

const manifestOf = (members: Map<string, Member>): ManifestJson => {
  const [first] = json(members.get('manifest.json')) as ManifestJson[];
  if (first === undefined) throw new Error('manifest.json is empty');
  return first;
};

describe('the archive of an image', () => {
  it('has the config and the layers as they are stored, under the name that a pull gives', async () => {
    const image = await seedImage('plain');
    await seed('archive/plain', [image]);
    const members = await download('/r/archive/plain:1.tar');
    const manifest = manifestOf(members);
    expect(manifest.RepoTags).toEqual(['registry.example/archive/plain:1']);
    expect(manifest.Layers.map((path) => members.get(path)?.bytes)).toEqual(image.layers);
    expect(json(members.get(manifest.Config))).toMatchObject({ architecture: 'amd64' });
    expect(manifest.Config).toMatch(/^[0-9a-f]{64}\.json$/);
  });

  it('is loaded by Docker before 1.10: each folder is an image with its parent, repositories names the top', async () => {
    await seed('archive/old', [await seedImage('old')]);
    const members = await download('/r/archive/old:1.tar');
    const folders = new Set([...members.keys()].flatMap((path) => (path.includes('/') ? [path.split('/')[0]] : [])));
    const images = [...folders].map((id) => {
      const folder = String(id);
      expect(members.get(`${folder}/VERSION`)?.bytes).toEqual(bytesOf('1.0'));
      const link = members.get(`${folder}/layer.tar`);
      expect(link?.type).toBe('2');
      const layer = members.get(String(link?.target).replace('../', ''));
      const image = json(members.get(`${folder}/json`)) as { id: string; parent?: string; throwaway?: boolean };
      expect(image.id).toBe(folder);
      return { ...image, layer: layer?.bytes };
    });
    expect(images).toHaveLength(3);
    const repositories = json(members.get('repositories')) as Record<string, Record<string, string>>;
    const chain = [];
    for (
      let id = repositories['registry.example/archive/old']?.['1'];
      id !== undefined;
      id = images.find((image) => image.id === id)?.parent
    )
      chain.push(images.find((image) => image.id === id));
    expect(chain).toHaveLength(3);
    expect(chain.map((image) => image?.layer?.length)).toEqual([7, EMPTY_LAYER.bytes.length, 2400]);
  });

  it('has no folders for Docker before 1.10 where there is no schema 1 either', async () => {
    const image = await seedImage('zstd', { layerType: MEDIA_TYPES.ociLayerZstd, form: 'oci-manifest' });
    await seed('archive/zstd', [{ ...image, zstd: true }]);
    const members = await download('/r/archive/zstd:1.tar');
    expect([...members.keys()].filter((path) => path.includes('/') || path === 'repositories')).toEqual([]);
    expect(manifestOf(members).Layers).toHaveLength(2);
  });

  it('has the gzip copies of zstd layers, where there are copies', async () => {
    const original = await seedImage('packed', { layerType: MEDIA_TYPES.ociLayerZstd, form: 'oci-manifest' });
    const copies = await seedImage('copies');
    await seed('archive/copies', [
      { ...original, zstd: true },
      { ...copies, derived: true },
    ]);
    const members = await download('/r/archive/copies:1.tar');
    expect(manifestOf(members).Layers.map((path) => members.get(path)?.bytes)).toEqual(copies.layers);
  });

  it('names a layer once that the image has twice', async () => {
    const layer = bytesOf('the same');
    const digest = await seedBlob(bucket, layer);
    const config = bytesOf(
      JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest, digest] } }),
    );
    const one = { mediaType: MEDIA_TYPES.dockerLayerGzip, digest, size: layer.length };
    const bytes = bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: MEDIA_TYPES.dockerConfig, digest: await seedBlob(bucket, config), size: config.length },
        layers: [one, one],
      }),
    );
    await seed('archive/twice', [{ form: 'docker-schema2', bytes, digest: await hash(bytes) }]);
    const members = await download('/r/archive/twice:1.tar');
    const { Layers } = manifestOf(members);
    expect(Layers[0]).toBe(Layers[1]);
    expect([...members.keys()].filter((path) => path.endsWith('.tar'))).toHaveLength(1);
  });

  it('is the same to HEAD without a body, and is not sent again to a client that has it', async () => {
    await seed('archive/head', [await seedImage('head')]);
    const path = '/r/archive/head:1.tar';
    const { bucket: counted, operations } = watched(bucket);
    const head = await directEdge(counted)(path, { method: 'HEAD' });
    // The manifest and the config: their bodies, and none of a layer.
    expect(operations).toMatchObject({ get: 2, other: [] });
    expect(await head.text()).toBe('');
    const get = await edge(path);
    await get.arrayBuffer();
    expect(comparable(get)).toEqual(comparable(head));
    const etag = head.headers.get('etag') ?? '';
    const again = await edge(path, { headers: { 'if-none-match': etag } });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it('breaks off where a layer is not there, instead of ending early', async () => {
    const image = await seedImage('lost');
    const { layers } = JSON.parse(new TextDecoder().decode(image.bytes)) as { layers: { digest: string }[] };
    await bucket.delete(`blobs/public/${String(layers[1]?.digest).replace(':', '/')}`);
    await seed('archive/lost', [image]);
    const response = await edge('/r/archive/lost:1.tar');
    await expect(response.arrayBuffer()).rejects.toThrow();
  });
});

describe('the platform of an archive', () => {
  const amd64: Platform = { os: 'linux', architecture: 'amd64' };
  const v6: Platform = { os: 'linux', architecture: 'arm', variant: 'v6' };
  const v7: Platform = { os: 'linux', architecture: 'arm', variant: 'v7' };
  const arm64: Platform = { os: 'linux', architecture: 'arm64' };
  const attestation: Platform = { os: 'unknown', architecture: 'unknown' };
  const architectureOf = async (query: string): Promise<unknown> => {
    const members = await download(`/r/archive/list:1.tar${query}`);
    const { architecture, variant } = json(members.get(manifestOf(members).Config)) as Platform;
    return [architecture, variant];
  };

  it.each([
    ['', ['amd64', undefined]],
    ['?platform=linux/amd64', ['amd64', undefined]],
    ['?platform=linux/arm64', ['arm64', undefined]],
    ['?platform=linux/arm64/v8', ['arm64', undefined]],
    ['?platform=linux/arm', ['arm', 'v6']],
    ['?platform=linux/arm/v7', ['arm', 'v7']],
  ])('is chosen from a list: %s', async (query, expected) => {
    const children = await Promise.all(
      [amd64, v7, v6, arm64].map(async (platform) => {
        const salt = `${platform.architecture}${platform.variant ?? ''}`;
        return [await seedImage(salt, { platform }), platform] as const;
      }),
    );
    const other = [await seedImage('attestation', { platform: amd64 }), attestation] as const;
    const list = await seedList([other, ...children]);
    await seed('archive/list', [list, ...children.map(([child, platform]) => ({ ...child, platform }))]);
    expect(await architectureOf(query)).toEqual(expected);
  });

  it('is the only one of a list, where none is named', async () => {
    const child = await seedImage('only', { platform: arm64 });
    await seed('archive/only', [await seedList([[child, arm64]]), { ...child, platform: arm64 }]);
    await download('/r/archive/only:1.tar');
  });

  it.each([
    ['of a list', '/r/archive/two:1.tar?platform=linux/s390x', 'linux/s390x', ['linux/arm64', 'linux/arm/v6']],
    ['of a list without the default', '/r/archive/two:1.tar', 'linux/amd64', ['linux/arm64', 'linux/arm/v6']],
    ['of a single image', '/r/archive/one:1.tar?platform=linux/arm64', 'linux/arm64', ['linux/amd64']],
  ])('that is missing is named with those there are: %s', async (_, path, wanted, available) => {
    const [one, two] = [await seedImage('a', { platform: arm64 }), await seedImage('b', { platform: v6 })];
    const list = await seedList([
      [one, arm64],
      [two, v6],
    ]);
    await seed('archive/two', [list, { ...one, platform: arm64 }, { ...two, platform: v6 }]);
    await seed('archive/one', [await seedImage('c')]);
    const response = await edge(path);
    expect(response.status).toBe(404);
    const { message, detail } = await errorOf(response);
    expect(detail).toMatchObject({ reason: 'platform-unknown', available });
    expect(message).toContain(wanted);
    for (const platform of available) expect(message).toContain(platform);
  });

  it('is refused where it is none', async () => {
    expect((await edge('/r/archive/one:1.tar?platform=arm')).status).toBe(400);
  });
});

describe('where there is no archive', () => {
  it.each([
    ['/r/archive/nothing:1.tar', 'name-unknown'],
    ['/r/archive/plain:2.tar', 'tag-unknown'],
    ['/r/archive/plain.tar', 'endpoint-unknown'],
    ['/r/archive/artifact:1.tar', 'archive-impossible'],
    ['/r/archive/foreign:1.tar', 'archive-impossible'],
    ['/r/archive/schema1:1.tar', 'schema2-layers-unreadable'],
  ])('the answer has the reason: %s, %s', async (path, reason) => {
    await seed('archive/plain', [await seedImage('plain')]);
    const bytes = bytesOf(
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest: `sha256:${'1'.repeat(64)}`, size: 2 },
        layers: [],
      }),
    );
    await seed('archive/artifact', [{ form: 'oci-manifest', bytes, digest: await hash(bytes) }]);
    const image = JSON.parse(new TextDecoder().decode((await seedImage('foreign')).bytes)) as { layers: object[] };
    image.layers.push({
      mediaType: MEDIA_TYPES.dockerLayerForeignGzip,
      digest: `sha256:${'2'.repeat(64)}`,
      size: 5,
      urls: ['https://elsewhere.example/layer'],
    });
    const foreign = bytesOf(JSON.stringify(image));
    await seed('archive/foreign', [{ form: 'docker-schema2', bytes: foreign, digest: await hash(foreign) }]);
    const old = bytesOf('{"schemaVersion":1}');
    await seedTag(
      bucket,
      'archive/schema1',
      '1',
      [{ form: 'docker-schema1', bytes: old, digest: await hash(old) }],
      [{ form: 'docker-schema2', reason: 'schema2-layers-unreadable' }],
    );
    const response = await edge(path);
    expect(response.status).toBe(404);
    expect((await errorOf(response)).detail.reason).toBe(reason);
    const page = await edge(path, { headers: { accept: 'text/html,application/xhtml+xml' } });
    expect([page.status, page.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
    expect(await page.text()).toContain(`/help/${reason}`);
  });
});

describe('the archive of an image that an upstream has', () => {
  const upstream = new Map<string, () => Response>();
  beforeAll(() => {
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      const response = upstream.get(url)?.() ?? Response.json({ errors: [{ code: 'BLOB_UNKNOWN' }] }, { status: 404 });
      return Promise.resolve(init.method === 'HEAD' ? new Response(null, response) : response);
    });
  });
  afterAll(() => {
    vi.unstubAllGlobals();
  });

  /** Puts an image upstream and nowhere else. */
  async function addUpstream(name: string, salt: string): Promise<SeededForm & { layers: Uint8Array[] }> {
    const image = await seedImage(salt);
    const host = `https://${name}.example`;
    const send = (bytes: Uint8Array, type: string) => (): Response =>
      new Response(bytes.slice(), { headers: { 'content-type': type, 'content-length': String(bytes.length) } });
    const manifest = JSON.parse(new TextDecoder().decode(image.bytes)) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    for (const { digest } of [manifest.config, ...manifest.layers]) {
      const key = `blobs/public/${digest.replace(':', '/')}`;
      const blob = new Uint8Array((await (await bucket.get(key))?.arrayBuffer()) ?? new ArrayBuffer(0));
      await bucket.delete(key);
      upstream.set(`${host}/v2/${name}/blobs/${digest}`, send(blob, 'application/octet-stream'));
    }
    for (const reference of ['1', image.digest])
      upstream.set(`${host}/v2/${name}/manifests/${reference}`, send(image.bytes, MEDIA_TYPE_OF_FORM[image.form]));
    return image;
  }

  it.each([
    ['streamed', {}],
    // A redirect would lead the client away, and its layers would be missing.
    ['redirected', { blobs: 'redirect' }],
  ])('is fetched from there: layers that are %s', async (name, more) => {
    const image = await addUpstream(name, `fronted ${name}`);
    const vars = { ORIGINS: [{ name, pattern: name, upstream: `https://${name}.example`, ...more }] };
    const ask = directEdge(bucket, { vars });
    for (let time = 0; time < 2; time++) {
      const members = await download(`/r/${name}:1.tar`, ask);
      expect(manifestOf(members).Layers.map((path) => members.get(path)?.bytes)).toEqual(image.layers);
    }
    const stored = await Promise.all(
      image.layers.map(async (layer) => bucket.head(blobKey(PUBLIC_REALM, await hash(layer)))),
    );
    expect(stored).not.toContain(null);
  });

  it('is refused with a 503 where the upstream fails', async () => {
    upstream.set('https://down.example/v2/down/manifests/1', () => new Response('', { status: 500 }));
    const vars = { ORIGINS: [{ name: 'down', pattern: 'down', upstream: 'https://down.example' }] };
    const response = await directEdge(bucket, { vars })('/r/down:1.tar');
    expect(response.status).toBe(503);
    expect((await errorOf(response)).detail.reason).toBe('upstream-unavailable');
  });
});

describe('a tag whose name ends in .tar', () => {
  it('has its page under a percent-encoded dot, and its own archive', async () => {
    await seed('archive/tarred', [await seedImage('tarred')], 'x.tar');
    const page = await edge('/r/archive/tarred:x%2Etar');
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(await page.text()).toContain('/r/archive/tarred:x%2Etar');
    expect(manifestOf(await download('/r/archive/tarred:x.tar.tar')).RepoTags).toEqual([
      'registry.example/archive/tarred:x.tar',
    ]);
  });
});

describe('the archive of a protected image', async () => {
  const token = robotTokenText(new Uint8Array(32).fill(9));
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytesOf(token)));
  const vars = {
    REALMS: [{ pattern: 'closed/*', realm: 'closed' }],
    TOKENS: `ci closed never sha256:${toBase64Url(sum)}`,
  };

  it('is for those who may pull it, and is stored by no shared cache', async () => {
    const ask = directEdge(bucket, { vars });
    await seed('closed/app', [await seedImage('closed', { realm: 'closed' as RealmName })]);
    const refused = await ask('/r/closed/app:1.tar');
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Basic')]);
    const headers = { authorization: `Basic ${btoa(`x:${token}`)}` };
    const got = await ask('/r/closed/app:1.tar', { headers });
    expect(got.headers.get('cache-control')).toMatch(/private|no-store/);
    expect(untar(new Uint8Array(await got.arrayBuffer())).size).toBeGreaterThan(4);
    expect((await ask('/r/closed/other:1.tar', { headers })).status).toBe(404);
    const wrong = { authorization: `Basic ${btoa('x:wrong')}` };
    expect((await ask('/r/closed/app:1.tar', { headers: wrong })).status).toBe(401);
  });
});
