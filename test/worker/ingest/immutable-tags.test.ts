/** Pull-through and immutable tags: what is stored stays, whatever the upstream does, and pulls cost nothing more. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { changeSettings } from '../../../src/bucket/format.ts';
import { FORMAT_KEY, tagKey } from '../../../src/registry/keys.ts';
import { decodeOriginMark, encodeOriginMark } from '../../../src/registry/origin-mark.ts';
import { r2Store } from '../../../src/worker/storage/r2-store.ts';
import { type Ask, directEdge } from '../edge.ts';
import { nameOf, tagOf } from '../seed.ts';
import { fakeUpstream, stubFetch, TYPES } from './fake-upstream.ts';

const { BUCKET } = env as unknown as { BUCKET: R2Bucket };

const NAME = 'team/app';
const HOST = 'immutable.example';
const upstream = fakeUpstream(HOST);

/** Each method and key of the bucket that was called. */
const operations: string[] = [];

const COUNTED = ['get', 'head', 'put', 'list'];

/** The bucket, with its operations noted. A new one each time: settings are cached for each. */
function observed(): R2Bucket {
  return new Proxy(BUCKET, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== 'function') return value;
      const call = (value as (...args: unknown[]) => unknown).bind(target);
      return (...args: unknown[]) => {
        if (COUNTED.includes(String(property))) operations.push(`${String(property)} ${String(args[0])}`);
        return call(...args);
      };
    },
  });
}

/** A new isolate, as far as the origin rules go. */
const edge = (): Ask =>
  directEdge(observed(), {
    vars: { ORIGINS: [{ name: 'up', pattern: '*', upstream: `https://${HOST}`, lifetime: 60, stale: 0, grace: 60 }] },
  });

beforeAll(async () => {
  stubFetch();
  await changeSettings(r2Store(BUCKET, { head: 0, get: 0 }), () => ({
    immutable: [{ tags: 'v*', repository: 'team/*', allowForce: true }],
  }));
});
afterAll(async () => {
  vi.unstubAllGlobals();
  await BUCKET.delete(FORMAT_KEY);
});

const pull = async (ask: Ask, tag: string): Promise<readonly [number, string | null]> => {
  operations.length = 0;
  const response = await ask(`/v2/${NAME}/manifests/${tag}`, { headers: { accept: TYPES.schema2 } });
  await response.arrayBuffer();
  return [response.status, response.headers.get('docker-content-digest')];
};

/** Makes a stored tag look as if it had last been compared two hours ago. */
async function age(tag: string): Promise<void> {
  const key = tagKey(nameOf(NAME), tagOf(tag));
  const object = await BUCKET.get(key);
  const mark = decodeOriginMark(object?.customMetadata ?? {});
  if (object === null || mark === null) throw new Error('the tag was not fetched');
  const old = encodeOriginMark({ ...mark, checked: Date.now() - 7_200_000 });
  await BUCKET.put(key, await object.arrayBuffer(), { customMetadata: { ...object.customMetadata, ...old } });
}

describe('a fetched tag that the upstream moved', () => {
  it.each([
    ['v1', false],
    ['latest', true],
  ])('%s follows it: %s', async (tag, follows) => {
    const before = await upstream.image(NAME, `${tag} before`, tag);
    expect(await pull(edge(), tag)).toEqual([200, before.digest]);
    const after = await upstream.image(NAME, `${tag} after`, tag);
    await age(tag);
    const expected = follows ? after.digest : before.digest;
    for (let again = 0; again < 2; again += 1) expect(await pull(edge(), tag)).toEqual([200, expected]);
    // The comparison is noted, so that it is not repeated with each pull of each isolate.
    const mark = decodeOriginMark((await BUCKET.head(tagKey(nameOf(NAME), tagOf(tag))))?.customMetadata ?? {});
    expect(mark).toMatchObject({ digest: expected, gone: null });
    expect(Date.now() - (mark?.checked ?? 0)).toBeLessThan(600_000);
  });
});

describe('a fetched tag that the upstream deleted', () => {
  it('stays where it is immutable', async () => {
    const { digest } = await upstream.image(NAME, 'deleted', 'v2');
    expect(await pull(edge(), 'v2')).toEqual([200, digest]);
    for (const path of upstream.answers.keys()) if (path.endsWith('/v2')) upstream.answers.delete(path);
    for (let again = 0; again < 3; again += 1) {
      await age('v2');
      expect(await pull(edge(), 'v2')).toEqual([200, digest]);
    }
  });
});

describe('the settings', () => {
  it('are not read for a tag that is stored, nor for one that the upstream still has as it is', async () => {
    const { digest } = await upstream.image(NAME, 'hot', 'v3');
    const ask = edge();
    expect(await pull(ask, 'v3')).toEqual([200, digest]);
    expect(operations).toContain(`get ${FORMAT_KEY}`);
    expect(await pull(ask, 'v3')).toEqual([200, digest]);
    expect(operations).toEqual([`get ${tagKey(nameOf(NAME), tagOf('v3'))}`]);
  });

  it('are read once by an isolate that fills, together with the format of the bucket', async () => {
    const ask = edge();
    await upstream.image(NAME, 'one', 'v4');
    await upstream.image(NAME, 'two', 'v5');
    await pull(ask, 'v4');
    expect(operations.filter((one) => one === `get ${FORMAT_KEY}`)).toHaveLength(1);
    await pull(ask, 'v5');
    expect(operations.filter((one) => one === `get ${FORMAT_KEY}`)).toHaveLength(0);
  });
});
