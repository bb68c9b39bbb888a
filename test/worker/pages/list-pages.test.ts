/** The front page and the page of a repository: orders, filters, search, and what they say of each entry. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { CATALOG_KEY } from '../../../src/registry/keys.ts';
import { encodeSortedList } from '../../../src/registry/sorted-list.ts';
import type { RepositorySummary, TagSummary } from '../../../src/registry/summary.ts';
import { compareNatural } from '../../../src/worker/pages/content/tag-order.ts';
import { watched } from '../buckets.ts';
import { directEdge } from '../edge.ts';
import { seedTagList } from '../seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const ask = directEdge(bucket);
const HOSTILE = '</pre><script>alert(1)</script>"\'><img src=x onerror=alert(1)>\u202e\u0000';

async function textOf(path: string): Promise<string> {
  return (await ask(path)).text();
}

/** The tags that a repository's page lists, in its order. */
async function tagsOf(path: string): Promise<readonly string[]> {
  return Array.from((await textOf(path)).matchAll(/<a class="tag" href="[^"]*">([^<]*)</g), ([, tag = '']) => tag);
}

function summary(day: number, size: number, platforms: readonly string[], more: Partial<TagSummary> = {}): TagSummary {
  const updated = `2026-01-${String(day).padStart(2, '0')}T00:00:00Z`;
  return { updated, size, platforms, published: ['oci-index'], derived: [], missing: [], ...more };
}

const ARM = 'linux/arm64/v8';
const AMD = 'linux/amd64';

// The first page imports the code of all that are below /r/.
beforeAll(async () => {
  await (await directEdge(bucket)('/r/none')).text();
}, 60_000);

describe('the page of a repository', () => {
  beforeAll(() =>
    seedTagList(bucket, 'ordered/app', [
      { name: '1.0.10', detail: summary(3, 300, [AMD]) },
      { name: '1.0.2', detail: summary(2, 900, [AMD, ARM]) },
      { name: '1.0.9', detail: summary(1, 100, [AMD]) },
      { name: 'edge', detail: summary(9, 50, [ARM]) },
      'plain',
    ]),
  );

  it('has the newest tag first, and sorts by name as people do, or by size', async () => {
    expect(await tagsOf('/r/ordered/app')).toEqual(['edge', '1.0.10', '1.0.2', '1.0.9', 'plain']);
    expect(await tagsOf('/r/ordered/app?sort=name')).toEqual(['1.0.2', '1.0.9', '1.0.10', 'edge', 'plain']);
    expect(await tagsOf('/r/ordered/app?sort=size')).toEqual(['1.0.2', '1.0.10', '1.0.9', 'edge', 'plain']);
    expect(await tagsOf('/r/ordered/app?sort=x')).toEqual(await tagsOf('/r/ordered/app'));
  });

  it('filters by name and by platform, both at once', async () => {
    expect(await tagsOf('/r/ordered/app?q=1.0&sort=name')).toEqual(['1.0.2', '1.0.9', '1.0.10']);
    expect(await tagsOf(`/r/ordered/app?platform=${ARM}`)).toEqual(['edge', '1.0.2']);
    expect(await tagsOf(`/r/ordered/app?platform=${ARM}&q=1`)).toEqual(['1.0.2']);
    expect(await tagsOf('/r/ordered/app?platform=plan9/mips')).toEqual([]);
    expect(await tagsOf('/r/ordered/app?platform=')).toHaveLength(5);
    expect(await textOf(`/r/ordered/app?platform=${ARM}`)).toContain(`<option value="${ARM}" selected`);
  });

  it('reads a list of 1,000 tags once, and shows 50 of it', async () => {
    await seedTagList(
      bucket,
      'thousand/app',
      Array.from({ length: 1_000 }, (_, at) => ({
        name: `1.0.${String(at)}`,
        detail: summary(1 + (at % 28), at, [AMD]),
      })),
    );
    const { bucket: counted, operations } = watched(bucket);
    const text = await (await directEdge(counted)('/r/thousand/app?sort=name')).text();
    expect(operations.head + operations.get).toBe(1);
    expect(text.match(/<a class="tag"/g)).toHaveLength(50);
    expect(text.length).toBeLessThan(100_000);
  });

  it('says what the images say that it is, of latest or the newest', async () => {
    await seedTagList(bucket, 'told/app', [
      { name: '1', detail: summary(1, 1, [AMD], { description: 'An old one', documentation: 'https://old.example/' }) },
      { name: '2', detail: summary(2, 1, [AMD], { description: 'An app', documentation: 'https://docs.example/app' }) },
      { name: '3', detail: summary(3, 1, [AMD]) },
    ]);
    const text = await textOf('/r/told/app');
    expect(text).toContain('<p>An app</p>');
    expect(text).toContain('<a href="https://docs.example/app" rel="nofollow noopener noreferrer ugc">');
    expect(text).toContain('<a href="/r/told/app:2">2</a>');
    expect(text).not.toContain('An old one');
  });

  it('leaves out the tags of signatures, unless the search names one', async () => {
    const signature = `sha256-${'a'.repeat(64)}.sig`;
    await seedTagList(bucket, 'signed/list', [
      { name: '1', detail: summary(1, 1, [AMD]) },
      { name: signature, detail: summary(2, 1, []) },
    ]);
    expect(await tagsOf('/r/signed/list')).toEqual(['1']);
    expect(await textOf('/r/signed/list')).toContain('<a href="/r/signed/list?q=sha">1</a> are signatures');
    expect(await tagsOf('/r/signed/list?q=sha')).toEqual([signature]);
  });

  it('lets nothing of a list become markup', async () => {
    await seedTagList(bucket, 'markup/list', [
      {
        name: '1',
        detail: summary(1, 1, [HOSTILE, AMD], { description: HOSTILE, documentation: `https://x/${HOSTILE}` }),
      },
    ]);
    for (const path of ['/r/markup/list', `/r/markup/list?platform=${encodeURIComponent(HOSTILE)}`]) {
      const text = await textOf(path);
      expect(text).not.toMatch(/<script>alert|<img|[\u202e\u0000]/);
      expect(text).not.toContain('href="https://x');
    }
  });
});

describe('the front page', () => {
  const detail = (tags: number, day: number, recent: readonly string[]): RepositorySummary => ({
    tags,
    updated: summary(day, 0, []).updated,
    recent,
  });

  beforeAll(async () => {
    const { body, metadata } = encodeSortedList([
      { name: 'team/app', detail: detail(12, 3, ['latest', '1.26.1', '1.26.0']) },
      { name: 'team/db', detail: detail(1, 2, ['16-alpine']) },
      { name: 'team/old', detail: null },
      { name: 'secret/app', detail: detail(7, 1, ['1.26-secret']) },
    ]);
    await bucket.put(CATALOG_KEY, body, { customMetadata: metadata });
  });

  it('says how many tags a repository has and when one moved', async () => {
    const text = await textOf('/');
    expect(text).toContain('12 tags, moved <time datetime="2026-01-03T00:00:00.000Z"');
    expect(text).toContain('1 tag, moved');
    expect(text).toContain('href="/r/team/old"');
  });

  it('finds repositories by their tags too', async () => {
    const found = async (query: string): Promise<readonly string[]> =>
      Array.from(
        (await textOf(`/?q=${encodeURIComponent(query)}`)).matchAll(/href="(\/r\/[^"]*)"/g),
        ([, href = '']) => href,
      );
    expect(await found('ALPINE')).toEqual(['/r/team/db', '/r/team/db:16-alpine']);
    expect(await found('app:1.26')).toEqual([
      '/r/secret/app',
      '/r/secret/app:1.26-secret',
      '/r/team/app',
      '/r/team/app:1.26.1',
      '/r/team/app:1.26.0',
    ]);
    expect(await found('old')).toEqual(['/r/team/old']);
    expect(await found('app:9')).toEqual([]);
  });

  it('tells nothing of a protected repository: neither tags nor numbers', async () => {
    const vars = {
      REALMS: [{ pattern: 'secret/*', realm: 'secret' }],
      TOKENS: `ci secret never sha256:${'A'.repeat(43)}`,
    };
    const anonymous = directEdge(bucket, { vars });
    for (const path of ['/', '/?q=secret', '/?q=1.26', '/?q=app:1.26'])
      expect(
        (await (await anonymous(path)).text()).replaceAll(/value="[^"]*"|“[^”]*”|<title>.*?<\/title>/g, ''),
      ).not.toMatch(/secret|7 tags/);
  });
});

it.each([
  ['1.0.2', '1.0.10'],
  ['v9', 'v10'],
  ['1.0', '1.0.1'],
  ['a', 'b'],
  ['1.26-alpine3.9', '1.26-alpine3.18'],
])('%s comes before %s', (first, second) => {
  expect(compareNatural(first, second)).toBeLessThan(0);
  expect(compareNatural(second, first)).toBeGreaterThan(0);
});
