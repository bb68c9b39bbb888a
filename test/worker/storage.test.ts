/**
 * What each endpoint costs, and what becomes of storage that fails, is slow, breaks off, or holds what cannot be read.
 */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  blobKey,
  CATALOG_KEY,
  manifestKey,
  referrersKey,
  signaturesKey,
  tagKey,
  tagListKey,
} from '../../src/registry/keys.ts';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import { brokenOff, hanging, type Meddling, type Operations, watched } from './buckets.ts';
import { titleOf } from '../attacks.ts';
import { type Ask, behindCache, cachedEdge, directEdge, errorOf } from './edge.ts';
import {
  bytesOf,
  digestOf,
  manifest,
  nameOf,
  seedBlob,
  seedCatalog,
  seedReferrers,
  seedTag,
  seedTagList,
  type SeededForm,
  tagOf,
} from './seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const NAME = 'storage/image';
const LONG = 'storage/long';
const SIGNED = `sha256:${'5'.repeat(64)}`;
const SHORT_WAITS = { backoff: 1 };
const ABSENT = `sha256:${'0'.repeat(64)}`;
const SCHEMA2 = { accept: MEDIA_TYPE_OF_FORM['docker-schema2'] };

let image: SeededForm;
let list: SeededForm;
let blob: string;
const content = crypto.getRandomValues(new Uint8Array(60_000));

beforeAll(async () => {
  image = await manifest('docker-schema2', 'storage');
  list = await manifest('docker-list', 'storage');
  const many = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      manifest('docker-schema1', `many${String(index)}`, {
        derived: true,
        platform: { os: 'linux', architecture: `arch${String(index)}` },
      }),
    ),
  );
  await seedTag(bucket, NAME, 'latest', [image]);
  await seedTag(bucket, NAME, 'many', [list, ...many]);
  await bucket.put(signaturesKey(nameOf(NAME), digestOf(SIGNED)), '{"signatures":[]}');
  await seedTagList(bucket, NAME, ['latest', 'many']);
  await seedReferrers(bucket, NAME, image.digest, []);
  blob = await seedBlob(bucket, content);
  const names = Array.from({ length: 100_000 }, (_, index) => `v${String(index).padStart(6, '0')}`);
  await seedTagList(
    bucket,
    LONG,
    names.map((name) => ({
      name,
      detail: { published: ['docker-schema2'], derived: ['docker-schema1'], missing: [] },
    })),
  );
  await seedCatalog(
    bucket,
    names.map((name) => `long/${name}`),
  );
}, 60_000);

// Digests are known only once the bucket is filled: until then words stand for them.
const path = (what: string): string => `/v2/${NAME}/${what}`;
const real = (text: string): string => text.replace('DIGEST', image.digest).replace('BLOB', blob);

/**
 * Endpoint → what it reads at most: heads, gets, and bodies that are opened. docs/reference/operations-per-request.md has the
 * same table.
 */
const COSTS: readonly [string, string, string, Operations][] = [
  ['GET', 'a manifest by tag', path('manifests/latest'), cost(0, 1, 1)],
  ['HEAD', 'a manifest by tag', path('manifests/latest'), cost(1, 0, 0)],
  ['GET', 'a manifest by tag, of very many forms', path('manifests/many'), cost(0, 1, 1)],
  ['HEAD', 'a manifest by tag, of very many forms', path('manifests/many'), cost(1, 1, 1)],
  ['GET', 'a manifest by digest', path('manifests/DIGEST'), cost(0, 1, 1)],
  ['HEAD', 'a manifest by digest', path('manifests/DIGEST'), cost(1, 0, 0)],
  ['GET', 'a blob', path('blobs/BLOB'), cost(0, 1, 1)],
  ['HEAD', 'a blob', path('blobs/BLOB'), cost(1, 0, 0)],
  ['GET', 'a tag that is not there', path('manifests/absent'), cost(1, 1, 0)],
  ['GET', 'a blob that is not there', path(`blobs/${ABSENT}`), cost(1, 1, 0)],
  ['GET', 'a tag list', path('tags/list'), cost(0, 1, 1)],
  ['GET', 'a page of 100,000 tags', `/v2/${LONG}/tags/list?n=100&last=v050000`, cost(0, 2, 2)],
  ['GET', 'the last page of 100,000 tags', `/v2/${LONG}/tags/list?n=1000&last=v099990`, cost(0, 2, 2)],
  ['GET', 'all 100,000 tags', `/v2/${LONG}/tags/list`, cost(0, 2, 2)],
  ['HEAD', 'all 100,000 tags', `/v2/${LONG}/tags/list`, cost(0, 1, 1)],
  ['GET', 'no tags of 100,000', `/v2/${LONG}/tags/list?n=0`, cost(1, 0, 0)],
  ['GET', 'a page of 100,000 repositories', '/v2/_catalog?n=100&last=long%2Fv050000', cost(0, 2, 2)],
  ['GET', 'all 100,000 repositories', '/v2/_catalog', cost(0, 2, 2)],
  ['GET', 'referrers', path('referrers/DIGEST'), cost(0, 1, 1)],
  ['GET', 'referrers, none', path(`referrers/${ABSENT}`), cost(0, 1, 0)],
  ['GET', 'signatures, none', `/extensions/v2/${NAME}/signatures/DIGEST`, cost(1, 1, 0)],
  ['GET', 'signatures', `/extensions/v2/${NAME}/signatures/${SIGNED}`, cost(0, 1, 1)],
  ['GET', 'the v1 answer', `/v1/repositories/${NAME}/images`, cost(0, 1, 1)],
  ['GET', 'the v1 answer of 100,000 tags', `/v1/repositories/${LONG}/images`, cost(0, 2, 2)],
  ['GET', '/v2/', '/v2/', cost(0, 0, 0)],
  ['GET', 'health', '/healthz', cost(1, 0, 0)],
];

function cost(head: number, get: number, bodies: number): Operations {
  return { head, get, other: [], bodies };
}

describe('the cost of each endpoint', () => {
  it.each(COSTS)('%s %s (%s): %o', async (method, _what, where, expected) => {
    const { bucket: counting, operations } = watched(bucket);
    const response = await directEdge(counting)(real(where), { method, headers: { accept: '*/*' } });
    await response.arrayBuffer();
    expect(response.status).toBeLessThan(500);
    expect(operations).toEqual(expected);
  });

  it('is told to the client, in Server-Timing', async () => {
    const response = await directEdge(bucket)(path('manifests/latest'), { headers: SCHEMA2 });
    expect(response.headers.get('server-timing')).toMatch(/^r2;desc="0 head, 1 get";dur=\d+, total;dur=\d+$/);
  });

  it('a warm answer costs nothing: what a cache in front has is not asked for again', async () => {
    const { bucket: counting, operations } = watched(bucket);
    const ask = behindCache(counting);
    await ask(path('manifests/latest'), { headers: SCHEMA2 });
    expect(operations).toEqual(cost(0, 1, 1));
    const response = await ask(path('manifests/latest'), { headers: SCHEMA2 });
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(image.bytes);
    expect(response.headers.get('server-timing')).toMatch(/^cache;desc="HIT", total/);
    expect(operations).toEqual(cost(0, 1, 1));
  });

  it('a page of a long list is right', async () => {
    const ask = directEdge(bucket);
    const page = await (await ask(`/v2/${LONG}/tags/list?n=3&last=v050000`)).json<{ tags: string[] }>();
    expect(page.tags).toEqual(['v050001', 'v050002', 'v050003']);
    const whole = await (await ask(`/v2/${LONG}/tags/list`)).json<{ tags: string[] }>();
    expect(whole.tags).toHaveLength(100_000);
    expect((await (await ask('/v2/_catalog')).json<{ repositories: string[] }>()).repositories.at(-1)).toBe(
      'long/v099999',
    );
  });
});

describe('a page of a list', () => {
  it(titleOf('list-page-endless'), async () => {
    const ask = directEdge(bucket);
    for (const query of ['n=999999999', 'last=v000000', 'n=100000&last=v000000']) {
      const response = await ask(`/v2/${LONG}/tags/list?${query}`);
      const { tags } = await response.json<{ tags: string[] }>();
      expect([tags.length, response.headers.get('link')]).toEqual([
        10_000,
        `</v2/${LONG}/tags/list?n=10000&last=${tags.at(-1) ?? ''}>; rel="next"`,
      ]);
    }
    const rest = await ask(`/v2/${LONG}/tags/list?n=10000&last=v099000`);
    expect((await rest.json<{ tags: string[] }>()).tags).toHaveLength(999);
    expect(rest.headers.get('link')).toBeNull();
  });
});

const READS = [
  'manifests/latest',
  'manifests/many',
  'manifests/DIGEST',
  'manifests/absent',
  'blobs/BLOB',
  `blobs/${ABSENT}`,
  'tags/list',
  'tags/list?n=1',
  'tags/list?n=0',
  'referrers/DIGEST',
  `referrers/${ABSENT}`,
];
const ALL_READS = [
  ...READS.map((what) => [what, ''] as const),
  ['', '/v2/_catalog?n=1'],
  ['', `/v1/repositories/${NAME}/images`],
  ['', `/extensions/v2/${NAME}/signatures/DIGEST`],
] as const;
/** These read all of the catalogue, or try once. */
const LONG_READS = ['/v2/_catalog', '/healthz', '/v1/search?q=x', '/crane/repositories'];
const pathOf = ([what, whole]: readonly [string, string]): string => real(whole === '' ? path(what) : whole);

function edges(meddle: Meddling, ways = [directEdge, cachedEdge, behindCache]): readonly Ask[] {
  const { bucket: bad } = watched(bucket, meddle);
  return ways.map((edge) => edge(bad, { retry: SHORT_WAITS }));
}

function expectUnavailable(response: Response, where: string): void {
  expect(response.status, where).toBe(503);
  expect(response.headers.get('retry-after'), where).toMatch(/^\d+$/);
  expect(response.headers.get('cache-control'), where).toBe('no-store');
}

describe('storage that fails', () => {
  it('is never a 404: 503 with Retry-After, that nobody keeps, on GET and HEAD of everything', async () => {
    for (const ask of edges(() => Promise.reject(new Error('network connection lost (10001)')))) {
      for (const where of [...ALL_READS.map(pathOf), ...LONG_READS]) {
        const get = await ask(where, { headers: { accept: '*/*' } });
        expectUnavailable(get, where);
        expect((await errorOf(get)).detail.reason).toBe('storage-unavailable');
        expectUnavailable(await ask(where, { method: 'HEAD', headers: { accept: '*/*' } }), `HEAD ${where}`);
      }
    }
  });

  it('at the second question is no 404 either: whether the repository exists is then not known', async () => {
    for (const ask of edges((_operation, key, call) =>
      key === tagListKey(nameOf(NAME)) ? Promise.reject(new Error('lost')) : call(),
    )) {
      for (const what of ['manifests/absent', `blobs/${ABSENT}`, `manifests/${ABSENT}`])
        expectUnavailable(await ask(path(what)), what);
    }
  });

  it('once is not noticed', async () => {
    for (const where of ALL_READS.map(pathOf)) {
      let failures = 0;
      const [ask] = edges((_operation, _key, call) => (failures++ === 0 ? Promise.reject(new Error('lost')) : call()));
      const response = await ask?.(where, { headers: { accept: '*/*' } });
      expect(response?.status, where).toBe((await directEdge(bucket)(where, { headers: { accept: '*/*' } })).status);
    }
  });

  it('is asked three times, and not for ever', async () => {
    const { bucket: bad, operations } = watched(bucket, () => Promise.reject(new Error('lost')));
    await directEdge(bad, { retry: SHORT_WAITS })(path('manifests/latest'));
    expect(operations.get).toBe(3);
  });

  it('with no answer at all is given up in time, and 503', async () => {
    const { bucket: silent } = watched(bucket, () => new Promise<never>(() => undefined));
    for (const edge of [directEdge, cachedEdge, behindCache]) {
      const ask = edge(silent, { retry: { attempts: 2, backoff: 1, attemptTimeout: 20, budget: 100 } });
      expectUnavailable(await ask(path('manifests/latest')), 'hanging');
    }
  });

  it('that answers, and whose body then hangs, is given up in time, and 503', async () => {
    const { bucket: silent } = watched(bucket, async (_operation, _key, call) => hanging(await call()));
    const retry = { attempts: 2, backoff: 1, attemptTimeout: 20, budget: 100 };
    for (const edge of [directEdge, cachedEdge]) {
      const ask = edge(silent, { retry });
      const paths = ['manifests/latest', 'manifests/many', 'manifests/DIGEST', 'tags/list?n=1', 'referrers/DIGEST'];
      for (const where of [...paths.map((what) => real(path(what))), '/v2/_catalog?n=1', ...LONG_READS]) {
        if (where === '/healthz') continue;
        expectUnavailable(await ask(where, { headers: { accept: '*/*' } }), where);
      }
      for (const page of ['/', `/r/${NAME}`, `/r/${NAME}:latest`])
        expect((await ask(page, { headers: { accept: 'text/html' } })).status, page).toBe(503);
    }
  });

  it('that hangs in the middle of a long list breaks the answer off', { timeout: 30_000 }, async () => {
    let reads = 0;
    const [ask] = edges(async (_operation, _key, call) => (reads++ === 0 ? call() : hanging(await call())));
    const response = await ask?.(`/v2/${LONG}/tags/list`);
    await expect(response?.arrayBuffer()).rejects.toThrow();
  });

  it('in the middle of a manifest is read again, and not noticed', async () => {
    for (const how of ['error', 'end'] as const) {
      let reads = 0;
      const [ask] = edges(async (_operation, _key, call) =>
        reads++ === 0 ? brokenOff(await call(), 10, how) : call(),
      );
      const response = await ask?.(path('manifests/latest'), { headers: SCHEMA2 });
      expect(new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer(0))).toEqual(image.bytes);
    }
  });

  it('in the middle of every manifest is 503, never half a manifest', async () => {
    for (const how of ['error', 'end'] as const) {
      for (const ask of edges(async (_operation, _key, call) => brokenOff(await call(), 10, how))) {
        expectUnavailable(await ask(path('manifests/latest'), { headers: SCHEMA2 }), how);
      }
    }
  });

  it('in the middle of a blob breaks the answer off: the client gets no end, or fewer bytes than promised', async () => {
    for (const ask of edges(async (_operation, key, call) =>
      key.startsWith('blobs/') ? brokenOff(await call(), 10_000, 'error') : call(),
    )) {
      const response = await ask(real(path('blobs/BLOB')));
      expect(response.status).toBe(200);
      expect(response.headers.get('content-length')).toBe(String(content.length));
      await expect(response.arrayBuffer()).rejects.toThrow();
    }
  });

  it('in the middle of a long list breaks the answer off too', async () => {
    let reads = 0;
    const [ask] = edges(async (_operation, _key, call) =>
      reads++ === 0 ? call() : brokenOff(await call(), 10_000, 'end'),
    );
    const response = await ask?.(`/v2/${LONG}/tags/list`);
    await expect(response?.arrayBuffer()).rejects.toThrow();
  });
});

describe('an object that was read before', () => {
  const name = nameOf('storage/again');
  const byTag = `/v2/${name}/manifests/moving`;
  const read = async (ask: Ask, where: string): Promise<[number, string]> => {
    const response = await ask(where, { headers: { accept: '*/*' } });
    return [response.status, await response.text()];
  };
  const textOf = ({ bytes }: SeededForm): string => new TextDecoder().decode(bytes);
  const wheres = (): readonly string[] => [
    byTag,
    real(path('manifests/DIGEST')),
    path('tags/list'),
    '/v2/_catalog?n=1',
  ];

  beforeAll(() => seedTag(bucket, name, 'moving', [image]));

  it('costs one read each time, and no bytes while it is the same', async () => {
    const { bucket: counting, operations } = watched(bucket);
    const ask = directEdge(counting);
    for (const where of wheres().slice(0, 3)) {
      const first = await read(ask, where);
      const before = { ...operations };
      expect(await read(ask, where), where).toEqual(first);
      expect(operations, where).toEqual({ ...before, get: before.get + 1 });
    }
  });

  it('is seen to move, to be removed and to come back at once', async () => {
    const ask = directEdge(watched(bucket).bucket);
    const other = await manifest('docker-schema2', 'moved');
    for (const form of [image, other, image]) {
      await seedTag(bucket, name, 'moving', [form]);
      expect(await read(ask, byTag)).toEqual([200, textOf(form)]);
      expect(await read(ask, byTag)).toEqual([200, textOf(form)]);
    }
    await bucket.delete(tagKey(name, tagOf('moving')));
    expect((await read(ask, byTag))[0]).toBe(404);
    await seedTag(bucket, name, 'moving', [other]);
    expect(await read(ask, byTag)).toEqual([200, textOf(other)]);
    const key = manifestKey(name, other.digest);
    const byDigest = `/v2/${name}/manifests/${other.digest}`;
    expect(await read(ask, byDigest)).toEqual([200, textOf(other)]);
    await bucket.delete(key);
    expect((await read(ask, byDigest))[0]).toBe(404);
  });

  it('is read with the metadata of today, where these alone were written anew', async () => {
    const ask = directEdge(watched(bucket).bucket);
    const key = manifestKey(name, image.digest);
    const where = `/v2/${name}/manifests/${image.digest}`;
    for (const contentType of [MEDIA_TYPE_OF_FORM['oci-manifest'], MEDIA_TYPE_OF_FORM['docker-schema2']]) {
      await bucket.put(key, image.bytes, { httpMetadata: { contentType } });
      expect((await ask(where, { headers: { accept: '*/*' } })).headers.get('content-type')).toBe(contentType);
    }
  });

  it('is no answer where storage gives none', async () => {
    let isDown = false;
    const meddle: Meddling = (_operation, _key, call) => (isDown ? Promise.reject(new Error('lost')) : call());
    // A cache has its own answer for as long as that is fresh.
    for (const ask of edges(meddle, [directEdge, cachedEdge])) {
      isDown = false;
      for (const where of wheres()) expect((await read(ask, where))[0], where).toBe(200);
      isDown = true;
      for (const where of wheres()) expectUnavailable(await ask(where, { headers: { accept: '*/*' } }), where);
    }
  });

  it('is not remembered where it broke off', async () => {
    await seedTag(bucket, name, 'moving', [image]);
    for (const how of ['error', 'end'] as const) {
      let isBroken = true;
      const [ask] = edges(async (_operation, _key, call) => (isBroken ? brokenOff(await call(), 10, how) : call()));
      if (ask === undefined) throw new Error('there is no edge');
      expectUnavailable(await ask(byTag, { headers: { accept: '*/*' } }), how);
      isBroken = false;
      expect(await read(ask, byTag)).toEqual([200, textOf(image)]);
    }
  });

  it('is remembered of its own bucket alone', async () => {
    const known = directEdge(watched(bucket).bucket);
    expect((await read(known, byTag))[0]).toBe(200);
    const empty = directEdge(watched(bucket, () => Promise.resolve(null)).bucket);
    expect((await read(empty, byTag))[0]).toBe(404);
  });
});

describe('records that cannot be read', () => {
  const put = (key: string, body: string, metadata: Record<string, string> = {}): Promise<unknown> =>
    bucket.put(key, bytesOf(body), { customMetadata: metadata, httpMetadata: { contentType: 'application/json' } });
  const name = nameOf('storage/damaged');

  beforeAll(async () => {
    await seedTag(bucket, name, 'good', [image]);
    await put(tagKey(name, tagOf('none')), 'x');
    await put(tagKey(name, tagOf('garbage')), 'x', { 'gantry-tag': '{' });
    await put(tagKey(name, tagOf('newer')), 'x', { 'gantry-tag': '{"v":2}' });
    await put(tagKey(name, tagOf('short')), 'x', {
      'gantry-tag': `{"v":1,"t":"","f":[["s2","${image.digest}",0,500,"p"]],"m":[]}`,
    });
    await put(tagKey(name, tagOf('head')), 'x', { 'gantry-tag': '{"v":1,"h":500}' });
    await put(tagListKey(name), 'x');
    await put(referrersKey(name, image.digest), 'x');
    await bucket.put(manifestKey(name, digestOf(ABSENT)), bytesOf('{}'));
  });

  it.each([
    'manifests/none',
    'manifests/garbage',
    'manifests/newer',
    'manifests/short',
    'manifests/head',
    'tags/list',
    'tags/list?n=2',
    `manifests/${ABSENT}`,
  ])('%s: 500 with the reason, that nobody keeps', async (what) => {
    const response = await directEdge(bucket)(`/v2/${name}/${what}`, { headers: { accept: '*/*' } });
    expect(response.status).toBe(500);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect((await errorOf(response)).detail.reason).toBe('record-corrupt');
  });

  it('a referrers record that cannot be read is 500 where it must be read', async () => {
    const response = await directEdge(bucket)(`/v2/${name}/referrers/${image.digest}?artifactType=x`);
    expect([response.status, (await errorOf(response)).detail.reason]).toEqual([500, 'record-corrupt']);
  });

  it('do not touch other tags', async () => {
    expect((await directEdge(bucket)(`/v2/${name}/manifests/good`, { headers: SCHEMA2 })).status).toBe(200);
  });
});

it('keys are those of the layout: nothing else of the bucket is looked at', async () => {
  const keys = new Set<string>();
  const { bucket: counting } = watched(bucket, (_operation, key, call) => {
    keys.add(key);
    return call();
  });
  const ask = directEdge(counting);
  for (const where of ALL_READS.map(pathOf)) await (await ask(where, { headers: { accept: '*/*' } })).arrayBuffer();
  const name = nameOf(NAME);
  expect([...keys].sort()).toEqual(
    [
      CATALOG_KEY,
      blobKey(PUBLIC_REALM, digestOf(blob)),
      blobKey(PUBLIC_REALM, digestOf(ABSENT)),
      manifestKey(name, image.digest),
      referrersKey(name, image.digest),
      referrersKey(name, digestOf(ABSENT)),
      signaturesKey(name, image.digest),
      tagKey(name, tagOf('absent')),
      tagKey(name, tagOf('latest')),
      tagKey(name, tagOf('many')),
      tagListKey(name),
    ].sort(),
  );
});
