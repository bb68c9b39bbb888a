/**
 * An upstream that is down, slow, lying or rate-limiting: no wrong byte, no false 404, and what is stored can always be
 * pulled.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { get, MODERN, OLD, type OriginEdge, pull, reasonOf, startOriginEdge } from './origin-edge.ts';
import {
  addImage,
  type Content,
  emptyContent,
  type Fault,
  type Seen,
  startUpstream,
  type Upstream,
} from './origin-upstream.ts';
import { until } from './programs.ts';

let upstream: Upstream;
let edge: OriginEdge;
let content: Content;
/** Faults by repository: each test has its own, so that they can run side by side. */
const faults = new Map<string, (seen: Seen) => Fault | null>();

const isBlob = ({ path }: Seen): boolean => path.includes('/blobs/');
const isLayer = (seen: Seen): boolean =>
  isBlob(seen) && seen.method === 'GET' && !configs.has(seen.path.split('/').at(-1) ?? '');
const isManifest = ({ path }: Seen): boolean => path.includes('/manifests/');
const configs = new Set<string>();

function image(
  name: string,
  layers: readonly number[] = [50_000, 200_000],
  tag = 'latest',
  seed = `${name}:${tag}`,
): ReturnType<typeof addImage> {
  const added = addImage(content, `${name}:${tag}`, { layers, seed });
  configs.add(added.config);
  return added;
}

const asked = (name: string): readonly Seen[] => upstream.seen.filter(({ path }) => path.startsWith(`/v2/${name}/`));

beforeAll(async () => {
  content = emptyContent();
  upstream = await startUpstream(content);
  upstream.fault = (seen) => faults.get(/^\/v2\/([^/]+\/[^/]+)\//.exec(seen.path)?.[1] ?? '')?.(seen) ?? null;
  edge = await startOriginEdge([
    { name: 'short', pattern: 'short/*', upstream: upstream.url, lifetime: 1, stale: 0, grace: 0, timeout: 1 },
    { name: 'limited', pattern: 'limited/*', upstream: upstream.url, lifetime: 1, stale: 0, timeout: 1 },
    { name: 'closed', pattern: 'closed/*', upstream: 'http://127.0.0.1:9' },
    { name: 'faulty', pattern: 'faulty/*', upstream: upstream.url, timeout: 1 },
  ]);
});

afterAll(async () => {
  await edge.close();
  await upstream.close();
});

describe('a manifest that is not stored', () => {
  it.each([
    ['refused', 'refused'],
    ['silence', 'silence'],
    ['cut', 'cut'],
    ['crawl', 'crawl'],
    ['garbage', 'garbage'],
    ['wrong bytes', 'wrong-bytes'],
    ['one byte less', 'too-short'],
    ['one byte more', 'too-long'],
    ['401', { status: 401, headers: { 'www-authenticate': 'Basic realm="test"' } }],
    ['403', { status: 403 }],
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['a redirect to nowhere', { status: 307, headers: { location: 'http://127.0.0.1:9/' } }],
    ['a redirect in circles', { status: 302, headers: { location: 'latest' } }],
  ] as const satisfies readonly (readonly [string, Fault])[])(
    'is 503 with a reason and Retry-After, never 404, while the upstream gives %s; and is there afterwards',
    async (title, fault) => {
      const name = `faulty/manifest-${title.replaceAll(' ', '-').toLowerCase()}`;
      const { manifest } = image(name);
      faults.set(name, (seen) => (isManifest(seen) ? fault : null));
      for (const reference of ['latest', manifest.digest]) {
        const got = await get(`${edge.url}/v2/${name}/manifests/${reference}`, { headers: MODERN });
        expect([got.status, reasonOf(got)]).toEqual([503, 'upstream-unavailable']);
        expect(Number(got.headers['retry-after'])).toBeGreaterThan(0);
        expect(got.headers['cache-control']).toBe('no-store');
      }
      faults.delete(name);
      expect(await pull(edge.url, name, 'latest')).toBe(3);
    },
  );

  it('is 503 where nothing listens upstream', async () => {
    const got = await get(`${edge.url}/v2/closed/a/manifests/latest`, { headers: MODERN });
    expect([got.status, reasonOf(got)]).toEqual([503, 'upstream-unavailable']);
    const blob = await get(`${edge.url}/v2/closed/a/blobs/sha256:${'0'.repeat(64)}`);
    expect([blob.status, reasonOf(blob)]).toEqual([503, 'upstream-unavailable']);
  });

  it('is 503 while its config cannot be had, and nothing of it is stored under the tag', async () => {
    const name = 'faulty/config';
    image(name);
    faults.set(name, (seen) => (isBlob(seen) ? 'wrong-bytes' : null));
    expect((await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN })).status).toBe(503);
    expect(await edge.server.target.store.head(`repositories/${name}/_tags/latest`)).toBeNull();
    faults.delete(name);
    expect(await pull(edge.url, name, 'latest')).toBe(3);
  });

  it('is 404 for seconds, without asking again, where the upstream says that it does not have it', async () => {
    const before = asked('faulty/none').length;
    for (let times = 0; times < 3; times++) {
      const got = await get(`${edge.url}/v2/faulty/none/manifests/latest`, { headers: MODERN });
      expect(got.status).toBe(404);
      expect(got.headers['cache-control']).toBe('public, max-age=5, must-revalidate');
    }
    expect(asked('faulty/none').length - before).toBe(1);
  });
});

describe('a blob that is not stored', () => {
  it.each([
    ['refused', 'refused'],
    ['silence', 'silence'],
    ['garbage', 'garbage'],
    ['wrong-bytes', 'wrong-bytes'],
    ['too-short', 'too-short'],
    ['too-long', 'too-long'],
    ['cut', 'cut'],
    ['crawl', 'crawl'],
    ['401', { status: 401 }],
    ['500', { status: 500 }],
  ] as const satisfies readonly (readonly [string, Fault])[])(
    'never reaches a client whole and wrong, nor the bucket, while the upstream gives: %s',
    async (title, fault) => {
      const name = `faulty/blob-${title}`;
      const { layers } = image(name, [100_000]);
      const [layer = ''] = layers;
      expect((await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN })).status).toBe(200);
      faults.set(name, (seen) => (isLayer(seen) ? fault : null));
      const got = await get(`${edge.url}/v2/${name}/blobs/${layer}`).catch((error: unknown) => error);
      // Either the client was told, or its connection broke before the end.
      if (!(got instanceof Error)) expect((got as { status: number }).status).toBe(503);
      expect(await edge.server.target.store.head(`blobs/public/sha256/${layer.slice(7)}`)).toBeNull();
      faults.delete(name);
      expect(await pull(edge.url, name, 'latest')).toBe(2);
      expect((await edge.server.target.store.head(`blobs/public/sha256/${layer.slice(7)}`))?.size).toBe(
        content.blobs.get(layer)?.length,
      );
    },
  );

  it('goes on where a connection broke, so that the client notices nothing', async () => {
    const name = 'faulty/resume';
    const { layers } = image(name, [300_000]);
    const [layer = ''] = layers;
    let cuts = 0;
    faults.set(name, (seen) => (isLayer(seen) && cuts++ === 0 ? 'cut' : null));
    const got = await get(`${edge.url}/v2/${name}/blobs/${layer}`);
    expect([got.status, got.digest]).toEqual([200, layer]);
    expect(cuts).toBe(2);
  });

  it('is stored although the client leaves in the midst of it', async () => {
    const name = 'faulty/leaving';
    const { layers } = image(name, [8_000_000]);
    const [layer = ''] = layers;
    await expect(get(`${edge.url}/v2/${name}/blobs/${layer}`, { leaveAfter: 100_000 })).rejects.toThrow();
    // Whoever comes next waits for the fill, or finds it done: the upstream is not asked again.
    expect((await get(`${edge.url}/v2/${name}/blobs/${layer}`, { keep: false })).digest).toBe(layer);
    expect(asked(name).filter(isLayer)).toHaveLength(1);
  });
});

describe('a stored tag', () => {
  const later = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 1_100));
  };

  it.each([
    ['refused', 'refused'],
    ['silence', 'silence'],
    ['garbage', 'garbage'],
    ['wrong-bytes', 'wrong-bytes'],
    ['401', { status: 401 }],
    ['500', { status: 500 }],
  ] as const satisfies readonly (readonly [string, Fault])[])(
    'goes on being served in all its forms, with a Warning, while the upstream gives: %s',
    async (title, fault) => {
      const name = `short/outage-${title}`;
      image(name);
      expect(await pull(edge.url, name, 'latest')).toBe(3);
      const before = await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: OLD });
      image(name, [10_000], 'latest', 'moved');
      faults.set(name, () => fault);
      await later();
      const got = await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN });
      expect(got.status).toBe(200);
      expect(got.headers.warning).toMatch(
        /^110 gantry "Response is Stale", 299 gantry "The upstream short cannot be asked: ORIGIN_/,
      );
      expect(await pull(edge.url, name, 'latest')).toBe(3);
      expect((await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: OLD })).body.equals(before.body)).toBe(
        true,
      );
      expect(edge.log.some(({ event, about }) => event === 'upstream-unavailable' && about === `${name}:latest`)).toBe(
        true,
      );
      faults.delete(name);
      await later();
      expect(await pull(edge.url, name, 'latest')).toBe(2);
      expect(
        (await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN })).headers.warning,
      ).toBeUndefined();
    },
  );

  it('moves when the upstream’s has moved, whole: until everything of it is here, the old one is served', async () => {
    const name = 'short/moving';
    const old = image(name);
    expect(await pull(edge.url, name, 'latest')).toBe(3);
    const next = image(name, [10_000], 'latest', 'next');
    faults.set(name, (seen) => (seen.path.endsWith(next.config) ? { status: 500 } : null));
    await later();
    const kept = await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN });
    expect(kept.digest).toBe(old.manifest.digest);
    expect(kept.headers.warning).toMatch(/ORIGIN_UNAVAILABLE/);
    faults.delete(name);
    await later();
    expect((await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN })).digest).toBe(
      next.manifest.digest,
    );
  });

  it('costs the upstream one HEAD where it has not moved, and behind the client’s back two requests for what was signed since', async () => {
    const name = 'short/still';
    image(name);
    await pull(edge.url, name, 'latest');
    await later();
    const before = asked(name).length;
    for (let times = 0; times < 3; times++)
      expect((await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN })).status).toBe(200);
    const requests = (): string[] =>
      asked(name)
        .slice(before)
        .map(({ method, path }) => `${method} ${path.replace(/^\/v2\/[a-z/]+?\/(?=manifests|referrers)/, '')}`);
    await until('the requests for signatures', () => Promise.resolve(requests().at(-1)?.endsWith('.sig') === true));
    const [compared, ...signatures] = requests();
    expect(compared).toBe('HEAD manifests/latest');
    // This upstream has no referrers API: an edge asks it once, and then for the fallback tag.
    expect(
      signatures
        .filter((line) => !line.includes('referrers'))
        .map((line) => line.replace(/sha256.[0-9a-f]{64}/, '<subject>')),
    ).toEqual(['GET manifests/<subject>', 'GET manifests/<subject>.sig']);
  });

  it('is gone after the grace where the upstream says that it does not have it, and comes back with it', async () => {
    const name = 'short/gone';
    image(name);
    await pull(edge.url, name, 'latest');
    const documents = content.tags.get(`${name}:latest`) ?? [];
    content.tags.delete(`${name}:latest`);
    await later();
    const got = await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN });
    expect([got.status, reasonOf(got)]).toEqual([404, 'tag-unknown']);
    content.tags.set(`${name}:latest`, documents);
    await later();
    expect(await pull(edge.url, name, 'latest')).toBe(3);
  });

  it('is served through a rate limit, which is respected: nothing more is asked until it ends', async () => {
    const name = 'limited/images';
    image(name);
    image(name, [1_000], 'other');
    await pull(edge.url, name, 'latest');
    faults.set(name, () => ({ status: 429, headers: { 'retry-after': '60' } }));
    await later();
    expect((await get(`${edge.url}/v2/${name}/manifests/latest`, { headers: MODERN })).headers.warning).toMatch(
      /ORIGIN_RATE_LIMITED/,
    );
    const before = asked(name).length;
    const unknown = await get(`${edge.url}/v2/${name}/manifests/other`, { headers: MODERN });
    expect([unknown.status, reasonOf(unknown)]).toEqual([503, 'upstream-unavailable']);
    expect(Number(unknown.headers['retry-after'])).toBeGreaterThan(50);
    expect(await pull(edge.url, name, 'latest')).toBe(3);
    expect(asked(name)).toHaveLength(before);
  });
});

describe('many faults at once', () => {
  it('give no wrong byte and no false 404, and leave everything to be pulled once they end', async () => {
    const names = ['faulty/chaos-a', 'faulty/chaos-b', 'faulty/chaos-c'];
    for (const name of names) image(name, [40_000, 90_000, 10]);
    const kinds: readonly Fault[] = [
      'refused',
      'cut',
      'garbage',
      'wrong-bytes',
      'too-short',
      'too-long',
      { status: 500 },
      { status: 401 },
    ];
    let turn = 0;
    // The same sequence in every run: a third of the answers goes wrong, each in its own way.
    for (const name of names)
      faults.set(name, () => (turn++ % 3 === 0 ? (kinds[(turn * 7) % kinds.length] ?? null) : null));
    const known = new Map(
      names.flatMap((name) => (content.tags.get(`${name}:latest`) ?? []).map((document) => [name, document] as const)),
    );
    const outcomes = new Map<number | 'cut', number>();
    const look = async (path: string, digest: string): Promise<void> => {
      const got = await get(edge.url + path, { headers: MODERN }).catch(() => null);
      const outcome = got?.status ?? 'cut';
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (got?.status === 200) expect(got.digest).toBe(digest);
      else expect([503, undefined]).toContain(got?.status);
    };
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        [...known].flatMap(([name, { bytes, digest }]) => {
          const { config, layers } = JSON.parse(bytes.toString()) as {
            config: { digest: string };
            layers: { digest: string }[];
          };
          return [
            look(`/v2/${name}/manifests/latest`, digest),
            look(`/v2/${name}/manifests/${digest}`, digest),
            ...[config, ...layers].map((blob) => look(`/v2/${name}/blobs/${blob.digest}`, blob.digest)),
          ];
        }),
      );
    }
    expect(outcomes.get(200)).toBeGreaterThan(0);
    expect((outcomes.get(503) ?? 0) + (outcomes.get('cut') ?? 0)).toBeGreaterThan(0);
    for (const name of names) faults.delete(name);
    for (const name of names) expect(await pull(edge.url, name, 'latest')).toBe(4);
  });
});
