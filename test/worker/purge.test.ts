/** `POST /-/purge`, which the publisher calls once tags have moved. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { PurgeOutcome } from '../../src/worker/edge.ts';
import { purgeCache } from '../../src/worker/endpoints/purge-cache.ts';
import { type Ask, behindCache, CACHE_SETTINGS, cachedEdge, directEdge, errorOf } from './edge.ts';
import { WorkersCache } from './workers-cache.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const TOKEN = 'a secret of some length';
const BODY = JSON.stringify({ repositories: ['library/x'], tags: ['library/x:1.0', 'library/x:latest'] });
const vars = { PURGE_TOKEN: TOKEN.replaceAll(' ', '-') };

function edge(purge: (tags: readonly string[]) => Promise<PurgeOutcome>): Ask {
  return cachedEdge(bucket, { vars }, undefined, purge);
}

function post(
  ask: Ask,
  body: string = BODY,
  authorization: string | null = `Bearer ${vars.PURGE_TOKEN}`,
): Promise<Response> {
  return ask('/-/purge', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...(authorization !== null && { authorization }) },
  });
}

describe('purging', () => {
  it('takes away the tags in all their forms, the lists of their repositories, and the catalogue', async () => {
    const purged: string[] = [];
    const ask = edge((tags) => {
      purged.push(...tags);
      return Promise.resolve({ kind: 'purged' });
    });
    const response = await post(ask);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ purged: true, cache: 'present', cacheTags: 4, version: null });
    expect(purged).toEqual(['tag:library/x:1.0', 'tag:library/x:latest', 'repository:library/x', 'catalog']);
  });

  it('says so where there is no cache', async () => {
    const response = await post(directEdge(bucket, { vars }));
    expect([response.status, await response.json()]).toEqual([
      200,
      { purged: false, cache: 'absent', cacheTags: 4, version: null },
    ]);
  });

  it('needs the secret, and purges nothing without', async () => {
    const ask = edge(() => expect.fail('purged'));
    for (const authorization of [
      null,
      'Bearer wrong',
      `Basic ${vars.PURGE_TOKEN}`,
      `Bearer ${vars.PURGE_TOKEN}x`,
      'Bearer ',
    ]) {
      const response = await post(ask, BODY, authorization);
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="purge"']);
    }
  });

  it('is not there where no secret is set', async () => {
    expect((await post(directEdge(bucket))).status).toBe(404);
  });

  it('counts wrong secrets where a limiter is bound', async () => {
    const LOGIN_LIMITER = { limit: () => Promise.resolve({ success: false }) };
    const response = await post(directEdge(bucket, { vars: { ...vars, LOGIN_LIMITER } }), BODY, 'Bearer wrong');
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '60']);
  });

  it('takes away all answers of a repository, those by digest too', async () => {
    const purged: string[] = [];
    const ask = edge((tags) => {
      purged.push(...tags);
      return Promise.resolve({ kind: 'purged' });
    });
    await post(ask, JSON.stringify({ repositories: [], tags: [], everything: ['library/x'] }));
    expect(purged).toEqual(['everything:library/x']);
  });

  it('of nothing costs no purge, and tells of the cache and of the version of the Worker', async () => {
    const ask = behindCache(bucket, { vars }, new WorkersCache(CACHE_SETTINGS), 'second');
    for (let call = 0; call < 30; call++) {
      const response = await post(ask, '{"repositories":[],"tags":[]}');
      expect(await response.json()).toEqual({ purged: true, cache: 'present', cacheTags: 0, version: 'second' });
    }
  });

  it('is 429 once the account has used up its purges', async () => {
    const ask = behindCache(bucket, { vars });
    for (let call = 0; call < 25; call++) expect((await post(ask)).status).toBe(200);
    expect((await post(ask)).status).toBe(429);
  });

  it.each([
    '',
    '{',
    '[]',
    'null',
    '{}',
    '{"repositories":[],"tags":["x"]}',
    '{"repositories":["X"],"tags":[]}',
    '{"repositories":[],"tags":["x:"]}',
    '{"repositories":[],"tags":[1]}',
    '{"repositories":[],"tags":[],"everything":["X"]}',
    '{"repositories":[],"tags":[],"everything":"x"}',
    `"${'x'.repeat(2 ** 20)}"`,
  ])('refuses a body that it cannot read (%#)', async (body) => {
    expect(
      (
        await post(
          edge(() => expect.fail('purged')),
          body,
        )
      ).status,
    ).toBe(400);
  });

  it('tells when the cache would not', async () => {
    const response = await post(edge(() => Promise.resolve({ kind: 'failed', message: 'rate limited (10001)' })));
    expect(response.status).toBe(500);
    expect((await errorOf(response)).message).toBe('The cache refused the purge: rate limited (10001)');
  });

  it('is 429 with Retry-After where Cloudflare takes no more purges', async () => {
    const response = await post(edge(() => Promise.resolve({ kind: 'limited', message: 'rate limited (10001)' })));
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '60']);
  });

  it('purges a repository as a whole where many of its tags moved', async () => {
    let purged: readonly string[] = [];
    const tags = Array.from({ length: 60 }, (_, index) => `a/b:v${String(index)}`);
    await post(
      edge((cacheTags) => {
        purged = cacheTags;
        return Promise.resolve({ kind: 'purged' });
      }),
      JSON.stringify({ repositories: ['a/b'], tags: [...tags, 'c:1'] }),
    );
    expect(purged).toEqual(['everything:a/b', 'tag:c:1', 'repository:a/b', 'catalog']);
  });

  it.each(['GET', 'HEAD', 'PUT', 'DELETE'])('%s is answered 405 with Allow: POST', async (method) => {
    const response = await directEdge(bucket, { vars })('/-/purge', { method });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('the cache', () => {
  it('is given so many tags a call, and no more calls after one that failed', async () => {
    const calls: number[] = [];
    const cache = {
      purge: ({ tags = [] }: CachePurgeOptions) => {
        calls.push(tags.length);
        return Promise.resolve(
          calls.length < 2 ? { success: true, errors: [] } : { success: false, errors: [{ code: 7, message: 'no' }] },
        );
      },
    };
    const tags = Array.from({ length: 250 }, (_, index) => `t${String(index)}`);
    expect(await purgeCache(cache, tags)).toEqual({ kind: 'failed', message: 'no (7)' });
    expect(calls).toEqual([100, 100]);
    expect(await purgeCache(undefined, tags)).toEqual({ kind: 'absent' });
  });
});
