/** The format object is written once, is never replaced, and keeps an older program from writing. */
import { describe, expect, it } from 'vitest';
import {
  changeSettings,
  createFormat,
  FORMAT_VERSION,
  lostRealms,
  noteRealms,
  readFormat,
  readSettings,
  refuseNewerFormat,
  withPreparedWrites,
} from '../../src/bucket/format.ts';
import { FORMAT_KEY } from '../../src/registry/keys.ts';
import { parseRealmTable } from '../../src/registry/realms.ts';
import type { WriteStore } from '../../src/registry/store.ts';
import { Bucket } from '../publisher/gc-bucket.ts';

const STORAGE = { endpoint: 'http://127.0.0.1:1', ifMatch: 'bare' } as const;
const JSON_TYPE = { contentType: 'application/json' };
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

describe('the format object', () => {
  it('is null before the first write, and reads as it was created', async () => {
    const store = new Bucket();
    expect(await readFormat(store)).toBeNull();
    await createFormat(store, STORAGE);
    expect(await readFormat(store)).toEqual({ version: 1, storage: STORAGE });
  });

  it('of a newer program stands, and refuses writes', async () => {
    const store = new Bucket();
    const newer = { version: FORMAT_VERSION + 1, other: true };
    await store.put(FORMAT_KEY, bytesOf(newer), JSON_TYPE);
    const standing = await createFormat(store, STORAGE);
    expect(standing).toEqual({ version: FORMAT_VERSION + 1 });
    expect(() => refuseNewerFormat(standing, 'the bucket')).toThrow(/written by a newer gantry/);
    expect(() => refuseNewerFormat({ version: FORMAT_VERSION }, 'the bucket')).not.toThrow();
  });

  it.each(['', '[]', '{"version":"1"}', '{"version":0}'])('that reads %j is damaged', async (text) => {
    const store = new Bucket();
    await store.put(FORMAT_KEY, new TextEncoder().encode(text), JSON_TYPE);
    await expect(readFormat(store)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
  });
});

describe('the settings of a bucket', () => {
  const immutable = [{ tags: 'v*', repository: '*', allowForce: false }];

  it('raise its version, so that programs without settings do not write to it, and restore it when none are left', async () => {
    const store = new Bucket();
    expect(await readSettings(store)).toEqual({ immutable: [] });
    await createFormat(store, STORAGE);
    await noteRealms(store, parseRealmTable([{ pattern: 'a/*', realm: 'a' }]));
    expect(await changeSettings(store, () => ({ immutable }))).toEqual({ immutable });
    // What a program before settings does with the object: it knows version 1, and refuses others.
    expect(await readFormat(store)).toEqual({ version: 2, storage: STORAGE, realms: ['a'], settings: { immutable } });
    await noteRealms(store, parseRealmTable([{ pattern: 'b/*', realm: 'b' }]));
    expect(await readSettings(store)).toEqual({ immutable });
    await changeSettings(store, () => ({ immutable: [] }));
    expect(await readFormat(store)).toEqual({ version: 1, storage: STORAGE, realms: ['a', 'b'] });
  });

  it('are changed again where another writer came between', async () => {
    const store = new Bucket();
    let others = 2;
    store.before = async (operation) => {
      if (operation !== 'put' || others === 0) return;
      others -= 1;
      const other = { tags: `other${String(others)}`, repository: '*', allowForce: false };
      await changeSettings(store, (settings) => ({ immutable: [...settings.immutable, other] }));
    };
    await changeSettings(store, (settings) => ({ immutable: [...settings.immutable, ...immutable] }));
    expect((await readSettings(store)).immutable.map(({ tags }) => tags)).toEqual(['other0', 'other1', 'v*']);
  });

  it('are not changed in a bucket of a newer version', async () => {
    const store = new Bucket();
    await store.put(FORMAT_KEY, bytesOf({ version: FORMAT_VERSION + 1, settings: { unknown: 1 } }), JSON_TYPE);
    await expect(changeSettings(store, () => ({ immutable }))).rejects.toThrow(/written by a newer gantry/);
  });

  it.each([{ immutable: 1 }, { immutable: [{ tags: 'v*' }] }, { immutable, other: 1 }])(
    'that are not understood refuse every write: %j',
    async (settings) => {
      const store = new Bucket();
      await store.put(FORMAT_KEY, bytesOf({ version: 2, settings }), JSON_TYPE);
      await expect(readSettings(store)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
    },
  );
});

describe('the realms that a bucket was written with', () => {
  const tableOf = (...realms: readonly string[]) =>
    parseRealmTable(realms.map((realm) => ({ pattern: `${realm}/*`, realm })));

  it('are noted beside what others wrote, and none is forgotten', async () => {
    const store = new Bucket();
    await store.put(FORMAT_KEY, bytesOf({ version: FORMAT_VERSION, storage: STORAGE, other: 1 }), JSON_TYPE);
    await noteRealms(store, tableOf('b'));
    await noteRealms(store, tableOf('a', 'public'));
    expect(await readFormat(store)).toEqual({ version: FORMAT_VERSION, storage: STORAGE, realms: ['a', 'b'] });
    const { bytes } = store.objects.get(FORMAT_KEY) ?? {};
    expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject({ other: 1 });
  });

  it('are noted in a new bucket, and beside another writer', async () => {
    const store = new Bucket();
    let others = 2;
    store.before = async (operation) => {
      if (operation !== 'put' || others === 0) return;
      others -= 1;
      await noteRealms(store, tableOf(`other${String(others)}`));
    };
    await noteRealms(store, tableOf('own'));
    expect((await readFormat(store))?.realms).toEqual(['other0', 'other1', 'own']);
  });

  it('cost no write where they are noted, or where the table has none', async () => {
    const store = new Bucket();
    await createFormat(store);
    await noteRealms(store, tableOf('a'));
    const { etag } = store.objects.get(FORMAT_KEY) ?? {};
    await noteRealms(store, tableOf('a'));
    await noteRealms(store, []);
    expect(store.objects.get(FORMAT_KEY)?.etag).toBe(etag);
  });

  it('are lost where the table has none', () => {
    const format = { version: FORMAT_VERSION, realms: ['a'] };
    expect([lostRealms(format, []), lostRealms(format, tableOf('public'))]).toEqual([['a'], ['a']]);
    expect([lostRealms(format, tableOf('b')), lostRealms(null, []), lostRealms({ version: 1 }, [])]).toEqual([
      [],
      [],
      [],
    ]);
  });
});

describe('a store that prepares its writes', () => {
  it('reads without preparation, prepares once for many writes, and again after a failure', async () => {
    const store = new Bucket();
    let prepared = 0;
    const guarded = withPreparedWrites(store, () => {
      prepared += 1;
      return prepared === 1 ? Promise.reject(new Error('not now')) : Promise.resolve(store);
    });
    expect(await guarded.get('key')).toBeNull();
    expect(prepared).toBe(0);
    await expect(guarded.put('key', bytesOf(1), JSON_TYPE)).rejects.toThrow('not now');
    await Promise.all([guarded.put('key', bytesOf(1), JSON_TYPE), guarded.put('other', bytesOf(1), JSON_TYPE)]);
    await guarded.delete(['key']);
    expect(prepared).toBe(2);
  });

  it('fences deletions where the store does', async () => {
    const store: WriteStore = new Bucket();
    expect(withPreparedWrites(store, () => Promise.resolve(store)).deleteFenced).toBeUndefined();
    const fencing = Object.assign(new Bucket(), { deleteFenced: () => Promise.resolve('expired' as const) });
    const guarded = withPreparedWrites(fencing, () => Promise.resolve(fencing));
    expect(await guarded.deleteFenced?.(['key'], { from: new Date(), seconds: 1 })).toBe('expired');
  });
});
