/** What HTTP asks of the read path: negotiation, conditions, ranges, and what caches are told. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { blobKey } from '../../src/registry/keys.ts';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import { titleOf } from '../attacks.ts';
import { watched } from './buckets.ts';
import { allWaysTo, cachedEdge, comparable, directEdge, errorOf, waysTo } from './edge.ts';
import { bytesOf, digestOf, manifest, seedBlob, seedManifest, seedTag, seedTagList, type SeededForm } from './seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const NAME = 'http/image';
const DOCKER = 'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/4.1 os/linux arch/arm';
const CONTENT = bytesOf('0123456789');
const SIZE = String(CONTENT.length);

let schema2: SeededForm;
let schema1: SeededForm;
let list: SeededForm;
let amd64: SeededForm;
let arm: SeededForm;
let child: SeededForm;
let zstd: SeededForm;
let blob: string;
let empty: string;

beforeAll(async () => {
  schema2 = await manifest('docker-schema2', 'http');
  schema1 = await manifest('docker-schema1', 'http', { derived: true });
  list = await manifest('docker-list', 'http');
  child = await manifest('docker-schema2', 'child', { platform: { os: 'linux', architecture: 'amd64' } });
  amd64 = await manifest('docker-schema1', 'amd64', {
    derived: true,
    platform: { os: 'linux', architecture: 'amd64' },
  });
  arm = await manifest('docker-schema1', 'arm', { derived: true, platform: { os: 'linux', architecture: 'arm' } });
  await seedTag(bucket, NAME, 'latest', [schema2, schema1]);
  zstd = await manifest('oci-manifest', 'zstd', { zstd: true });
  await seedTag(bucket, NAME, 'zstd', [
    zstd,
    await manifest('docker-schema1', 'of zstd', { derived: true }),
    { ...schema2, derived: true },
  ]);
  await seedTag(bucket, NAME, 'zstd-alone', [zstd]);
  await seedTag(bucket, NAME, 'list', [list, child, amd64, arm]);
  await seedTag(bucket, NAME, 'new', [schema2], [{ form: 'docker-schema1', reason: 'schema1-zstd-layers' }]);
  // An index that does not fit into the metadata.
  const many = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      manifest('docker-schema1', `many${String(index)}`, {
        derived: true,
        platform: { os: 'linux', architecture: `arch${String(index)}` },
      }),
    ),
  );
  await seedTag(bucket, NAME, 'many', [list, child, ...many]);
  await seedManifest(bucket, NAME, schema2);
  await seedTagList(bucket, NAME, [
    'latest',
    'list',
    {
      name: 'new',
      detail: {
        published: ['docker-schema2'],
        derived: [],
        missing: [{ form: 'docker-schema1', reason: 'schema1-zstd-layers' }],
      },
    },
  ]);
  await seedTagList(bucket, 'http/old', [
    { name: 'latest', detail: { published: ['docker-schema1'], derived: [], missing: [] } },
  ]);
  blob = await seedBlob(bucket, CONTENT);
  empty = await seedBlob(bucket, new Uint8Array(0));
});

const byTag = (tag: string): string => `/v2/${NAME}/manifests/${tag}`;
const SCHEMA2 = { accept: MEDIA_TYPE_OF_FORM['docker-schema2'] };

describe.each(allWaysTo(bucket))('negotiation, %s', (_, ask) => {
  const digestOf = async (path: string, headers: Record<string, string>): Promise<string | null> =>
    (await ask(path, { headers })).headers.get('docker-content-digest');

  it('gives each client the form that it reads', async () => {
    expect(await digestOf(byTag('latest'), SCHEMA2)).toBe(schema2.digest);
    expect(await digestOf(byTag('latest'), {})).toBe(schema1.digest);
    expect(await digestOf(byTag('latest'), { accept: '*/*' })).toBe(schema2.digest);
    expect(await digestOf(byTag('list'), { accept: `${MEDIA_TYPE_OF_FORM['docker-list']}, ${SCHEMA2.accept}` })).toBe(
      list.digest,
    );
    expect(await digestOf(byTag('list'), SCHEMA2)).toBe(child.digest);
  });

  it('gives an old engine the schema 1 of the platform that it tells, and says that this was looked at', async () => {
    const response = await ask(byTag('list'), { headers: { 'user-agent': DOCKER } });
    expect(response.headers.get('docker-content-digest')).toBe(arm.digest);
    expect(response.headers.get('vary')).toBe('Accept, User-Agent');
    expect(await digestOf(byTag('list'), { 'user-agent': 'docker/1.9.1 go/go1.4.3' })).toBe(amd64.digest);
  });

  it('gives zstd layers to those who unpack them, and to a Docker engine from before 23.0 the form with gzip copies', async () => {
    const accept = `${MEDIA_TYPE_OF_FORM['oci-manifest']}, ${SCHEMA2.accept}`;
    const docker = (version: string): Record<string, string> => ({
      accept,
      'user-agent': `docker/${version} go/go1.19.8 os/linux arch/amd64`,
    });
    // Turn by turn, so that a cache in between must tell them apart.
    for (const version of ['20.10.24', '28.5.2', '20.10.5', '23.0.0']) {
      const response = await ask(byTag('zstd'), { headers: docker(version) });
      expect(response.headers.get('docker-content-digest')).toBe(
        version.startsWith('20.') ? schema2.digest : zstd.digest,
      );
      expect(response.headers.get('vary')).toBe('Accept, User-Agent');
      const head = await ask(byTag('zstd'), { method: 'HEAD', headers: docker(version) });
      expect(comparable(head)).toEqual(comparable(response));
    }
    expect((await ask(byTag('zstd'), { headers: SCHEMA2 })).headers.get('vary')).toBe('Accept');
    const told = await ask(byTag('zstd-alone'), { headers: docker('20.10.24') });
    expect([told.status, told.headers.get('vary'), (await errorOf(told)).detail.reason]).toEqual([
      404,
      'Accept, User-Agent',
      'zstd-layers',
    ]);
    expect(await digestOf(byTag('zstd-alone'), docker('23.0.6'))).toBe(zstd.digest);
  });

  it('by tag varies by Accept, and by nothing else where nothing else was looked at', async () => {
    for (const headers of [SCHEMA2, {}])
      expect((await ask(byTag('latest'), { headers })).headers.get('vary')).toBe('Accept');
    expect((await ask(byTag('new'))).headers.get('vary')).toBe('Accept');
  });

  it('answers every form of a tag whose index stands in the body', async () => {
    expect(await digestOf(byTag('many'), SCHEMA2)).toBe(child.digest);
    const response = await ask(byTag('many'), { headers: { 'user-agent': 'docker/1.9.1 os/linux arch/arch59' } });
    expect(await response.json()).toMatchObject({ schemaVersion: 1, salt: 'many59' });
    const head = await ask(byTag('many'), {
      method: 'HEAD',
      headers: { 'user-agent': 'docker/1.9.1 os/linux arch/arch59' },
    });
    expect(comparable(head)).toEqual(comparable(response));
  });

  it('tells an engine from before 1.10 why there is nothing for it: UNSUPPORTED first, MANIFEST_UNKNOWN second', async () => {
    const response = await ask(byTag('new'), { headers: { 'user-agent': DOCKER } });
    expect(response.status).toBe(404);
    const { errors } = await response.clone().json<{ errors: { code: string }[] }>();
    expect(errors.map(({ code }) => code)).toEqual(['UNSUPPORTED', 'MANIFEST_UNKNOWN']);
    expect((await errorOf(response)).detail).toMatchObject({
      reason: 'schema1-zstd-layers',
      available: [MEDIA_TYPE_OF_FORM['docker-schema2']],
      help: 'https://registry.example/help/schema1-zstd-layers',
    });
  });

  it('by digest gives those very bytes or nothing', async () => {
    const path = byTag(schema2.digest);
    expect((await ask(path, { headers: SCHEMA2 })).status).toBe(200);
    expect((await ask(path)).status).toBe(200);
    const old = await ask(path, { headers: { 'user-agent': DOCKER } });
    expect(old.status).toBe(404);
    expect(old.headers.get('vary')).toBe('Accept, User-Agent');
    expect((await errorOf(old)).detail.reason).toBe('manifest-too-new');
    const oci = await ask(path, { headers: { accept: MEDIA_TYPE_OF_FORM['oci-manifest'] } });
    expect([oci.status, (await errorOf(oci)).detail.reason]).toEqual([404, 'form-not-published']);
    expect((await ask(path, { method: 'HEAD', headers: { 'user-agent': DOCKER } })).status).toBe(404);
  });

  it('tells engines that fall back to v1 why, as the body of a 400; and plainly no where it is not about schema 1', async () => {
    const told = await ask(`/v1/repositories/${NAME}/images`);
    expect(told.status).toBe(400);
    expect(await told.text()).toBe(
      `${NAME}:new: No schema 1 could be derived: the image has zstd layers, which Docker engines before 1.10 cannot unpack. See https://registry.example/help/schema1-zstd-layers`,
    );
    for (const name of ['http/old', 'http/absent'])
      expect((await ask(`/v1/repositories/${name}/images`)).status).toBe(404);
  });
});

describe.each(waysTo(bucket))('conditional requests (RFC 9110, section 13), %s', (_, ask) => {
  const conditional = (
    path: string,
    condition: string,
    more: Record<string, string> = {},
    method = 'GET',
  ): Promise<Response> => ask(path, { method, headers: { ...more, 'if-none-match': condition } });

  it.each(['GET', 'HEAD'])(
    '%s: 304 without a body, with the headers that a 200 would have had beside those of the body',
    async (method) => {
      for (const path of [byTag('latest'), byTag(schema2.digest)]) {
        const whole = await ask(path, { headers: SCHEMA2 });
        const etag = whole.headers.get('etag') ?? '';
        for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
          const response = await conditional(path, condition, SCHEMA2, method);
          expect(response.status, condition).toBe(304);
          expect((await response.arrayBuffer()).byteLength).toBe(0);
          const expected = comparable(whole).filter(([name]) => !/^content-(?:type|length)$/.test(name));
          expect(comparable(response)).toEqual(expected);
        }
        expect((await conditional(path, '"other"', SCHEMA2, method)).status).toBe(200);
      }
    },
  );

  it('are looked at after negotiation: the tag of another form does not match', async () => {
    expect((await conditional(byTag('latest'), `"${schema2.digest}"`)).status).toBe(200);
    expect((await conditional(byTag('latest'), `"${schema1.digest}"`)).status).toBe(304);
    expect((await conditional(byTag('latest'), `"${schema1.digest}"`, SCHEMA2)).status).toBe(200);
  });

  it('hold for blobs and lists', async () => {
    const paths = [
      `/v2/${NAME}/blobs/${blob}`,
      `/v2/${NAME}/tags/list`,
      `/v2/${NAME}/tags/list?n=1`,
      '/v2/_catalog',
      `/v2/${NAME}/referrers/${schema2.digest}`,
    ];
    for (const path of paths) {
      const etag = (await ask(path)).headers.get('etag') ?? '';
      expect(etag, path).toMatch(/^"[^"]+"$/);
      expect((await conditional(path, etag)).status, path).toBe(304);
    }
  });

  it('do not make something of nothing', async () => {
    expect((await conditional(byTag('absent'), '*')).status).toBe(404);
    expect((await conditional(`/v2/${NAME}/blobs/sha256:${'0'.repeat(64)}`, '*')).status).toBe(404);
  });
});

describe.each(waysTo(bucket))('ranges (RFC 9110, section 14), %s', (_, ask) => {
  const ranged = (range: string, more: Record<string, string> = {}, path = blob): Promise<Response> =>
    ask(`/v2/${NAME}/blobs/${path}`, { headers: { ...more, range } });

  it.each([
    ['bytes=0-0', '0', 'bytes 0-0/10'],
    ['bytes=2-5', '2345', 'bytes 2-5/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=7-100', '789', 'bytes 7-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=-100', '0123456789', 'bytes 0-9/10'],
    ['bytes=0-99999999999999999999', '0123456789', 'bytes 0-9/10'],
  ])('%s: 206 with %s', async (range, text, contentRange) => {
    const response = await ranged(range);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(response.headers.get('content-length')).toBe(String(text.length));
    expect(response.headers.get('etag')).toBe(`"${blob}"`);
    expect(await response.text()).toBe(text);
  });

  it.each(['bytes=10-', 'bytes=10-20', 'bytes=-0', 'bytes=99999999999999999999-'])(
    '%s: 416 with the length',
    async (range) => {
      const response = await ranged(range);
      expect(response.status).toBe(416);
      expect(response.headers.get('content-range')).toBe(`bytes */${SIZE}`);
      expect((await errorOf(response)).detail.reason).toBe('range-not-satisfiable');
    },
  );

  it('no range of an empty blob can be had', async () => {
    for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1'])
      expect((await ranged(range, {}, empty)).status, range).toBe(416);
    expect((await ask(`/v2/${NAME}/blobs/${empty}`)).headers.get('content-length')).toBe('0');
  });

  it.each(['bytes=5-2', 'bytes=x', 'lines=1-2'])('%s is ignored', async (range) => {
    const response = await ranged(range);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('0123456789');
  });

  it('If-Range: part of it if it is what the client has begun with, else the whole', async () => {
    expect((await ranged('bytes=1-2', { 'if-range': `"${blob}"` })).status).toBe(206);
    for (const other of ['"other"', `W/"${blob}"`, 'Sat, 29 Oct 1994 19:43:31 GMT'])
      expect((await ranged('bytes=1-2', { 'if-range': other })).status, other).toBe(200);
  });

  it('If-None-Match comes before Range', async () => {
    expect((await ranged('bytes=1-2', { 'if-none-match': `"${blob}"` })).status).toBe(304);
  });

  it('a range plays no part on HEAD, nor for manifests', async () => {
    const head = await ask(`/v2/${NAME}/blobs/${blob}`, { method: 'HEAD', headers: { range: 'bytes=1-2' } });
    expect([head.status, head.headers.get('content-length'), head.headers.get('accept-ranges')]).toEqual([
      200,
      SIZE,
      'bytes',
    ]);
    const whole = await ask(byTag('latest'), { headers: { ...SCHEMA2, range: 'bytes=1-2' } });
    expect(whole.status).toBe(200);
    expect((await whole.arrayBuffer()).byteLength).toBe(schema2.bytes.length);
  });
});

describe('blobs and the cache', () => {
  it('several ranges cost a few reads, however many they are', async () => {
    const { bucket: counting, operations } = watched(bucket);
    const response = await directEdge(counting)(`/v2/${NAME}/blobs/${blob}`, {
      headers: { range: 'bytes=0-0,2-2,4-4,6-6,8-8' },
    });
    await response.arrayBuffer();
    expect(operations.get).toBeLessThanOrEqual(8);
  });

  it.each<[string, RequestInit]>([
    ['a part of a blob', { headers: { range: 'bytes=1-2' } }],
    ['HEAD of a blob', { method: 'HEAD' }],
  ])('%s does not go through the cache, which would ask for the whole blob', async (_, init) => {
    const refusing = cachedEdge(bucket, { vars: { BLOB_CACHE: 'on' } }, () => {
      throw new Error('the cache was asked');
    });
    const response = await refusing(`/v2/${NAME}/blobs/${blob}`, init);
    const text = await response.text();
    expect([response.status, text]).toEqual(init.method === 'HEAD' ? [200, ''] : [206, '12']);
  });

  it('whole blobs go through the cache where that is switched on', async () => {
    const seen: string[] = [];
    const between = (request: Request, call: () => Promise<Response>): Promise<Response> => {
      seen.push(request.url);
      return call();
    };
    for (const BLOB_CACHE of ['on', 'off'])
      await cachedEdge(bucket, { vars: { BLOB_CACHE } }, between)(`/v2/${NAME}/blobs/${blob}`);
    expect(seen).toHaveLength(1);
  });
});

describe.each(waysTo(bucket))('several ranges (RFC 9110, section 14.6), %s', (_, ask) => {
  const ranged = (range: string): Promise<Response> => ask(`/v2/${NAME}/blobs/${blob}`, { headers: { range } });

  it('come as the parts of one body, whose length is announced', async () => {
    const response = await ranged('bytes=0-1, 4-5, -2');
    const type = response.headers.get('content-type') ?? '';
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(type)?.[1] ?? '';
    const body = await response.text();
    expect([response.status, response.headers.get('content-length'), response.headers.get('content-range')]).toEqual([
      206,
      String(body.length),
      null,
    ]);
    const part = (range: string, text: string): string =>
      `--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${range}/10\r\n\r\n${text}\r\n`;
    expect(body).toBe(`${part('0-1', '01')}${part('4-5', '45')}${part('8-9', '89')}--${boundary}--\r\n`);
  });

  it('of which one can be satisfied come as that one part', async () => {
    const response = await ranged('bytes=2-3,50-60');
    expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([
      206,
      'bytes 2-3/10',
      '23',
    ]);
  });

  it('of which none can be satisfied are 416', async () => {
    expect((await ranged('bytes=50-60,70-')).status).toBe(416);
  });

  it.each(['bytes=0-5,3-8', 'bytes=5-6,0-1', `bytes=${Array.from({ length: 1_025 }, () => '0-0').join(',')}`])(
    `${titleOf('ranges-many')}: %.20s`,
    async (range) => {
      const response = await ranged(range);
      expect([response.status, await response.text()]).toEqual([200, '0123456789']);
    },
  );

  it(
    titleOf('ranges-far-apart'),
    async () => {
      const large = new Uint8Array(66 * 1024 * 1024);
      const key = blobKey(PUBLIC_REALM, digestOf(`sha256:${'e'.repeat(64)}`));
      await bucket.put(key, large);
      const step = Math.floor(large.length / 1_000);
      const range = `bytes=${Array.from({ length: 1_000 }, (_, at) => `${String(at * step)}-${String(at * step)}`).join(',')}`;
      const { bucket: counting, operations } = watched(bucket);
      const response = await directEdge(counting)(`/v2/${NAME}/blobs/sha256:${'e'.repeat(64)}`, { headers: { range } });
      await response.body?.cancel();
      expect([response.status, response.headers.get('content-length')]).toEqual([200, String(large.length)]);
      expect(operations.get).toBe(1);
      await bucket.delete(key);
    },
    60_000,
  );
});

describe.each(waysTo(bucket))('what caches of clients are told, %s', (_, ask) => {
  it.each([
    ['a tag', byTag('latest'), 'public, max-age=60'],
    ['a manifest by digest', '/v2/http/image/manifests/DIGEST', 'public, max-age=31536000, immutable'],
    ['a blob', '/v2/http/image/blobs/BLOB', 'public, max-age=31536000, immutable'],
    ['a tag list', `/v2/${NAME}/tags/list`, 'public, max-age=60'],
    ['the catalogue', '/v2/_catalog', 'public, max-age=60'],
    ['referrers', `/v2/${NAME}/referrers/sha256:${'0'.repeat(64)}`, 'public, max-age=60'],
    ['a tag that is not there', byTag('absent'), 'public, max-age=5, must-revalidate'],
    ['a form that is not there', byTag('new'), 'public, max-age=5, must-revalidate'],
    ['a blob that is not there', `/v2/${NAME}/blobs/sha256:${'0'.repeat(64)}`, 'public, max-age=5, must-revalidate'],
    ['a repository that is not there', '/v2/http/absent/tags/list', 'public, max-age=5, must-revalidate'],
    ['a bad name', '/v2/Bad/tags/list', 'no-store'],
    ['/v2/', '/v2/', 'no-store'],
    ['an unknown path', '/nowhere', 'no-store'],
    ['health', '/healthz', 'no-store'],
  ])('%s', async (_, path, expected) => {
    const response = await ask(path.replace('DIGEST', schema2.digest).replace('BLOB', blob), {
      headers: path.includes('/new') ? {} : { accept: '*/*' },
    });
    expect(response.headers.get('cache-control')).toBe(expected);
  });
});

describe('what the cache within is told', () => {
  it('the cache within gets its own lifetimes and the tags to purge by, and clients see neither', async () => {
    const inner: Record<string, [string | null, string | null]> = {};
    const before = cachedEdge(bucket, { vars: { BLOB_CACHE: 'on' } }, async (request, call) => {
      const response = await call();
      const { pathname } = new URL(request.url);
      inner[pathname.replace(/^\/[^/]+/, '')] = [
        response.headers.get('cloudflare-cdn-cache-control'),
        response.headers.get('cache-tag'),
      ];
      return response;
    });
    for (const path of [
      byTag('latest'),
      byTag('absent'),
      `/v2/${NAME}/tags/list`,
      '/v2/_catalog',
      `/v2/${NAME}/blobs/${blob}`,
    ]) {
      const response = await before(path, { headers: { accept: '*/*' } });
      for (const name of [
        'cloudflare-cdn-cache-control',
        'cache-tag',
        'gantry-facts',
        'gantry-refusal',
        'cf-cache-status',
      ])
        expect(response.headers.has(name)).toBe(false);
    }
    const stale = 'public, max-age=60, stale-while-revalidate=30, stale-if-error=86400';
    expect(inner).toEqual({
      [byTag('latest')]: [stale, `tag:${NAME}:latest,everything:${NAME}`],
      // What says that a tag is not there must go when it comes.
      [byTag('absent')]: ['public, max-age=5', `tag:${NAME}:absent,everything:${NAME}`],
      [`/v2/${NAME}/tags/list`]: [stale, `repository:${NAME},everything:${NAME}`],
      '/v2/_catalog': [stale, 'catalog'],
      [`/v2/${NAME}/blobs/${blob}`]: ['public, max-age=31536000, immutable', `everything:${NAME}`],
    });
  });

  it('one canonical request stands for all clients of a kind, without credentials, cookies or conditions', async () => {
    const seen = new Set<string>();
    const before = cachedEdge(bucket, {}, (request, call) => {
      seen.add(JSON.stringify([request.url, [...request.headers]]));
      return call();
    });
    const types = [
      MEDIA_TYPE_OF_FORM['oci-manifest'],
      MEDIA_TYPE_OF_FORM['docker-schema2'],
      MEDIA_TYPE_OF_FORM['docker-list'],
      MEDIA_TYPE_OF_FORM['oci-index'],
    ];
    for (let turn = 0; turn < types.length; turn++) {
      const accept = [...types.slice(turn), ...types.slice(0, turn)].join(', ');
      await before(byTag('latest'), {
        headers: {
          accept,
          'user-agent': `docker/${String(23 + turn)}.0`,
          authorization: 'Basic eDp5',
          cookie: 'a=b',
          'if-none-match': '"x"',
          'x-forwarded-for': `192.0.2.${String(turn)}`,
        },
      });
    }
    expect(seen.size).toBe(1);
    for (const version of ['1.10.3', '1.13.1', '17.09.1-ce', '19.03.15', '20.10.24']) {
      await before(byTag('latest'), { headers: { accept: types.join(', '), 'user-agent': `docker/${version}` } });
    }
    // Those that cannot unpack zstd are a kind of their own.
    expect(seen.size).toBe(2);
    expect([...seen][0]).not.toMatch(/authorization|cookie|if-none-match|forwarded/);
  });

  it('an Age that the cache within tells is passed on, so that lifetimes do not add up', async () => {
    const aged = cachedEdge(bucket, {}, async (_, call) => {
      const { body, headers } = await call();
      return new Response(body, { headers: [...headers, ['age', '50'], ['cf-cache-status', 'HIT']] });
    });
    const response = await aged(byTag('latest'), { headers: SCHEMA2 });
    expect(response.headers.get('age')).toBe('50');
    expect(response.headers.get('server-timing')).toMatch(/^cache;desc="HIT", total;dur=/);
    expect((await response.arrayBuffer()).byteLength).toBe(schema2.bytes.length);
  });
});
