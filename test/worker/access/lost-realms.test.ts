/** A realm table that lost its rules opens nothing that was written while it had them. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { REALM_METADATA, withRealms } from '../../../src/bucket/realm-mark.ts';
import { createFormat, noteRealms } from '../../../src/bucket/format.ts';
import { CATALOG_KEY, FORMAT_KEY } from '../../../src/registry/keys.ts';
import { parseRealmTable } from '../../../src/registry/realms.ts';
import { reportLostRealms } from '../../../src/worker/access/lost-realms.ts';
import { r2Store } from '../../../src/worker/storage/r2-store.ts';
import { type Ask, directEdge, type EdgeOptions } from '../edge.ts';
import { titleOf } from '../../attacks.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };
const REALMS = [{ pattern: 'lost/*', realm: 'lost' }];
const OTHER = [{ pattern: 'lost/*', realm: 'other' }];
const DIGEST = `sha256:${'1'.repeat(64)}`;
const KEYS = {
  tag: 'repositories/lost/app/_tags/one',
  manifest: `repositories/lost/app/_manifests/${DIGEST}`,
  list: 'repositories/lost/app/_tags.json',
};
const TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = { 'gantry-tag': JSON.stringify({ v: 1, t: '', f: [['om', DIGEST, 0, 2, 'p']], m: [] }) };
const LIST = '{"names":[]}';

const edgeWith = (vars: EdgeOptions['vars']): Ask => directEdge(bucket, { vars: { ...vars } });

async function write(realms: unknown): Promise<void> {
  const store = withRealms(r2Store(bucket, { head: 0, get: 0 }), parseRealmTable(realms), null);
  const body = new TextEncoder().encode('{}');
  await store.put(KEYS.tag, body, { contentType: 'application/octet-stream', metadata: INDEX });
  await store.put(KEYS.manifest, body, { contentType: TYPE });
  await store.put(KEYS.list, new TextEncoder().encode(LIST), { contentType: 'application/json' });
}

describe('a bucket that was written with protected realms', () => {
  const store = r2Store(bucket, { head: 0, get: 0 });
  const logged = async (realms: unknown): Promise<unknown[]> => {
    const lines: unknown[] = [];
    const spy = vi
      .spyOn(console, 'error')
      .mockImplementation((line: unknown) => void lines.push(JSON.parse(String(line))));
    await reportLostRealms({ realms: parseRealmTable(realms), bucket });
    spy.mockRestore();
    return lines;
  };

  it(titleOf('realms-lost-empty'), async () => {
    expect(await logged([])).toEqual([]);
    await createFormat(store);
    await noteRealms(store, parseRealmTable(REALMS));
    expect(await logged([])).toEqual([
      { event: 'realms-lost', realms: ['lost'], message: expect.stringContaining('REALMS is empty') as string },
    ]);
    expect(await logged(REALMS)).toEqual([]);
    expect(await logged(OTHER)).toEqual([]);
    await bucket.delete(FORMAT_KEY);
  });
});

const PATHS = ['/v2/lost/app/manifests/one', `/v2/lost/app/manifests/${DIGEST}`];

describe('objects of a protected repository', () => {
  let log: unknown[];
  beforeAll(() => write(REALMS));
  afterEach(() => {
    vi.restoreAllMocks();
  });
  const listen = (): void => {
    log = [];
    vi.spyOn(console, 'error').mockImplementation((line: unknown) => void log.push(JSON.parse(String(line))));
  };

  it.each(PATHS)(`${titleOf('realms-lost')}: %s`, async (path) => {
    for (const vars of [{}, { REALMS: [] }]) {
      listen();
      expect((await edgeWith(vars)(path, { headers: { accept: TYPE } })).status).toBe(404);
      expect(log).toContainEqual(
        expect.objectContaining({ event: 'realm-mismatch', written: 'lost', table: 'public' }),
      );
    }
  });

  it(titleOf('realms-lost-upstream'), async () => {
    listen();
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('{}', { headers: { 'content-type': TYPE } })));
    const ORIGINS = [{ name: 'up', pattern: '*', upstream: 'https://upstream.example' }];
    const status = (await edgeWith({ ORIGINS })('/v2/lost/app/manifests/one', { headers: { accept: TYPE } })).status;
    vi.unstubAllGlobals();
    expect(status).toBe(404);
  });

  it.each(PATHS)('need credentials under any table that protects them: %s', async (path) => {
    expect((await edgeWith({ REALMS })(path)).status).toBe(401);
    expect((await edgeWith({ REALMS: OTHER })(path)).status).toBe(401);
  });

  it('of an earlier version have no mark and work on', async () => {
    await write(undefined);
    expect((await bucket.head(KEYS.tag))?.customMetadata?.[REALM_METADATA]).toBeUndefined();
    for (const path of PATHS) expect((await edgeWith({})(path, { headers: { accept: TYPE } })).status).toBe(200);
    await write(REALMS);
    expect((await bucket.head(KEYS.tag))?.customMetadata?.[REALM_METADATA]).toBe('lost');
  });

  it('written again without the realm lose its mark', async () => {
    const store = withRealms(r2Store(bucket, { head: 0, get: 0 }), [], null);
    await store.put(KEYS.list, new TextEncoder().encode(LIST), {
      contentType: 'application/json',
      metadata: { [REALM_METADATA]: 'lost' },
    });
    expect((await bucket.head(KEYS.list))?.customMetadata).toEqual({});
  });

  it(titleOf('realms-lost-catalogue'), async () => {
    const { encodeSortedList } = await import('../../../src/registry/sorted-list.ts');
    const { body, metadata } = encodeSortedList([{ name: 'lost/app', detail: null }]);
    const store = withRealms(r2Store(bucket, { head: 0, get: 0 }), parseRealmTable(REALMS), null);
    await store.put(CATALOG_KEY, body, { contentType: 'application/json', metadata });
    listen();
    for (const path of ['/v2/_catalog', '/v1/search?q=lost', '/'])
      expect(await (await edgeWith({})(path)).text()).not.toContain('lost/app');
    expect(log).toContainEqual(expect.objectContaining({ event: 'realm-mismatch', key: CATALOG_KEY, written: 'lost' }));
  });
});
