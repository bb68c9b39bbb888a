/**
 * Suites that every implementation of the store ports passes: reading, and writing. They run in Node and in workerd.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256Hex as sha256 } from '../../src/manifest/signing/sha256.ts';
import type { BodyStream, PutOptions, ReadStore, StoredObject, WriteStore } from '../../src/registry/store.ts';

/** A store to be looked at, and how large a body must be that it sends in several parts. */
export interface StoreUnderTest {
  readonly store: WriteStore;
  readonly longBody: number;
  close(): Promise<void>;
}

const PLAIN: PutOptions = { contentType: 'application/octet-stream' };
let keys = 0;

/** A key that nobody else has; with characters that need escaping in addresses. */
const freshKey = (): string => `suite/a+b:c@${String((keys += 1))}/ü_%41`;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** Bytes in chunks of odd sizes. `fail`: throws once so many bytes have come. */
export function streamOf(
  bytes: Uint8Array,
  { size = bytes.length, fail }: { size?: number; fail?: number } = {},
): BodyStream {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length;) {
      if (fail !== undefined && at >= fail) throw new Error('the source broke');
      const step = 1 + ((at * 7919) % 50_000);
      yield await Promise.resolve(bytes.subarray(at, at + step));
      at += step;
    }
  }
  return { size, chunks: chunks() };
}

async function bytesOf(object: StoredObject | null | 'changed'): Promise<Uint8Array> {
  if (object === null || object === 'changed') throw new Error(`no object: ${String(object)}`);
  return new Uint8Array(await new Response(object.body).arrayBuffer());
}

async function textOf(object: StoredObject | null | 'changed'): Promise<string> {
  return new TextDecoder().decode(await bytesOf(object));
}

/** An object that a store under test holds. */
export interface GivenObject {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Declares the suite of reading. `open` gives a store that holds the object. */
export function describeReadStore(title: string, open: (object: GivenObject) => Promise<ReadStore>): void {
  describe(`${title}, reading`, () => {
    const object = (): GivenObject => ({
      key: freshKey(),
      bytes: randomBytes(100),
      contentType: 'application/vnd.x.y+json',
      metadata: { 'gantry-tag': '{"a":"b, c; \\u00fc"}' },
    });

    test('a key that is not there is null', async () => {
      const store = await open(object());
      const key = freshKey();
      expect(await store.head(key)).toBeNull();
      expect(await store.get(key)).toBeNull();
      expect(await store.get(key, { ifMatch: 'abc' })).toBeNull();
    });

    test('head and get give the same facts', async () => {
      const given = object();
      const store = await open(given);
      const { key, bytes, contentType, metadata } = given;
      const info = await store.head(key);
      expect(info).toMatchObject({ key, size: 100, contentType, metadata });
      const found = await store.get(key);
      expect(found).toMatchObject({ key, size: 100, contentType, metadata, etag: info?.etag });
      expect(found).toMatchObject({ range: { offset: 0, length: 100 } });
      expect(await bytesOf(found)).toEqual(bytes);
    });

    test.each([
      ['from an offset for a length', { offset: 10, length: 5 }, 10, 15],
      ['from an offset to the end', { offset: 90 }, 90, 100],
      ['beyond the end, cut there', { offset: 90, length: 50 }, 90, 100],
      ['the last bytes', { suffix: 7 }, 93, 100],
      ['more last bytes than there are', { suffix: 700 }, 0, 100],
    ])('a range is read: %s', async (_, range, from, to) => {
      const given = object();
      const found = await (await open(given)).get(given.key, { range });
      expect(found).toMatchObject({ size: 100, range: { offset: from, length: to - from } });
      expect(await bytesOf(found)).toEqual(given.bytes.subarray(from, to));
    });

    test('a read of one version does not give another', async () => {
      const given = object();
      const store = await open(given);
      const etag = (await store.head(given.key))?.etag ?? '';
      expect(await bytesOf(await store.get(given.key, { ifMatch: etag }))).toEqual(given.bytes);
      expect(await store.get(given.key, { ifMatch: 'd41d8cd98f00b204e9800998ecf8427e' })).toBe('changed');
    });
  });
}

/** Declares both suites over a store that can be written. */
export function describeWriteStore(title: string, open: () => Promise<StoreUnderTest>): void {
  describe(title, () => {
    let under: StoreUnderTest;
    let store: WriteStore;

    describeReadStore(title, async ({ key, bytes, ...options }) => {
      await store.put(key, bytes, options);
      return store;
    });

    beforeAll(async () => {
      under = await open();
      ({ store } = under);
    });

    afterAll(() => under.close());

    test('deleting a key that is not there is no error', async () => {
      await store.delete([freshKey()]);
    });

    test('a write gives the etag that reads give', async () => {
      const key = freshKey();
      const written = await store.put(key, randomBytes(1000), PLAIN);
      const info = await store.head(key);
      expect(written).toEqual({ etag: info?.etag });
      expect(Number.isNaN(info?.uploaded.getTime())).toBe(false);
    });

    test.each([0, 1, 70_000])('a streamed body of %i bytes is written', async (size) => {
      const key = freshKey();
      const bytes = randomBytes(size);
      await store.put(key, streamOf(bytes), { ...PLAIN, sha256: sha256(bytes) });
      expect(await bytesOf(await store.get(key))).toEqual(bytes);
    });

    test('a long body is written whole, and read by ranges', async () => {
      const key = freshKey();
      const bytes = randomBytes(under.longBody);
      const written = await store.put(key, streamOf(bytes), { ...PLAIN, sha256: sha256(bytes), onlyIf: 'absent' });
      expect(written).not.toBe('precondition-failed');
      expect(await store.head(key)).toMatchObject({ size: bytes.length, contentType: PLAIN.contentType });
      expect(sha256(await bytesOf(await store.get(key)))).toBe(sha256(bytes));
      const middle = bytes.length >> 1;
      expect(await bytesOf(await store.get(key, { range: { offset: middle - 50, length: 100 } }))).toEqual(
        bytes.subarray(middle - 50, middle + 50),
      );
      expect(await store.put(key, streamOf(bytes), { ...PLAIN, sha256: sha256(bytes), onlyIf: 'absent' })).toBe(
        'precondition-failed',
      );
    });

    test('a read of one version does not give another', async () => {
      const key = freshKey();
      const first = await store.put(key, utf8('first'), PLAIN);
      const { etag } = first === 'precondition-failed' ? { etag: '' } : first;
      expect(await textOf(await store.get(key, { ifMatch: etag }))).toBe('first');
      await store.put(key, utf8('second'), PLAIN);
      expect(await store.get(key, { ifMatch: etag })).toBe('changed');
    });

    test('a conditional write holds only over what it says', async () => {
      const key = freshKey();
      expect(await store.put(key, utf8('x'), { ...PLAIN, onlyIf: { etag: 'd41d8cd98f00b204e9800998ecf8427e' } })).toBe(
        'precondition-failed',
      );
      const first = await store.put(key, utf8('first'), { ...PLAIN, onlyIf: 'absent' });
      if (first === 'precondition-failed') throw new Error('not absent');
      expect(await store.put(key, utf8('again'), { ...PLAIN, onlyIf: 'absent' })).toBe('precondition-failed');
      const second = await store.put(key, utf8('second'), { ...PLAIN, onlyIf: first });
      expect(second).not.toBe('precondition-failed');
      expect(await store.put(key, utf8('third'), { ...PLAIN, onlyIf: first })).toBe('precondition-failed');
      expect(await textOf(await store.get(key))).toBe('second');
    });

    test('of many conditional writes at once, one holds', async () => {
      const key = freshKey();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          store.put(key, utf8(`writer ${String(index)}`), { ...PLAIN, onlyIf: 'absent' }),
        ),
      );
      const winners = results.flatMap((result, index) => (result === 'precondition-failed' ? [] : [index]));
      expect(winners).toHaveLength(1);
      expect(await textOf(await store.get(key))).toBe(`writer ${String(winners[0])}`);
    });

    test.each<[string, (bytes: Uint8Array, long: Uint8Array) => Uint8Array | BodyStream, object]>([
      ['has another hash', (bytes) => bytes, { code: 'DIGEST_MISMATCH' }],
      ['is a stream with another hash', (bytes) => streamOf(bytes), { code: 'DIGEST_MISMATCH' }],
      ['is a long stream with another hash', (_, long) => streamOf(long), { code: 'DIGEST_MISMATCH' }],
      ['ends early', (bytes) => streamOf(bytes, { size: bytes.length + 1 }), { code: 'DIGEST_MISMATCH' }],
      ['ends early, a long one', (_, long) => streamOf(long, { size: long.length + 1 }), { code: 'DIGEST_MISMATCH' }],
      ['goes on too long', (bytes) => streamOf(bytes, { size: bytes.length - 1 }), { code: 'DIGEST_MISMATCH' }],
      [
        'goes on too long, a long one',
        (_, long) => streamOf(long, { size: long.length - 1 }),
        { code: 'DIGEST_MISMATCH' },
      ],
      ['breaks', (bytes) => streamOf(bytes, { fail: 1 }), { message: 'the source broke' }],
      ['breaks, a long one', (_, long) => streamOf(long, { fail: long.length >> 1 }), { message: 'the source broke' }],
    ])('a body is refused, and nothing of it is to be seen, if it %s', async (_, body, error) => {
      const key = freshKey();
      const [bytes, long] = [randomBytes(5000), randomBytes(under.longBody)];
      await expect(
        store.put(key, body(bytes, long), { ...PLAIN, sha256: sha256(utf8('another')) }),
      ).rejects.toMatchObject(error);
      expect(await store.head(key)).toBeNull();
    });

    test('an overwrite that fails leaves what was there', async () => {
      const key = freshKey();
      await store.put(key, utf8('first'), PLAIN);
      await expect(store.put(key, streamOf(randomBytes(100_000), { fail: 1 }), PLAIN)).rejects.toThrow();
      expect(await textOf(await store.get(key))).toBe('first');
    });

    test('a write that is called off throws the reason, and leaves nothing', async () => {
      const key = freshKey();
      const stop = new AbortController();
      const bytes = randomBytes(under.longBody);
      async function* chunks(): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(bytes.subarray(0, 1000));
        stop.abort(new Error('called off'));
        yield bytes.subarray(1000);
      }
      await expect(
        store.put(
          key,
          { size: bytes.length, chunks: chunks() },
          { ...PLAIN, sha256: sha256(bytes), signal: stop.signal },
        ),
      ).rejects.toThrow('called off');
      expect(await store.head(key)).toBeNull();
    });

    test('lists all keys below a prefix in order, or those after one, over pages; and deletes them', async () => {
      const prefix = `suite/list-${String((keys += 1))}/`;
      const wanted = Array.from({ length: 1_003 }, (_, index) => `${prefix}k${String(index).padStart(4, '0')}`);
      for (let at = 0; at < wanted.length; at += 50)
        await Promise.all(wanted.slice(at, at + 50).map((key) => store.put(key, utf8(key), PLAIN)));
      await store.put(`${prefix.slice(0, -1)}x`, utf8(''), PLAIN);
      const listed: string[] = [];
      for await (const { key, size, etag } of store.list(prefix)) {
        listed.push(key);
        expect(size).toBe(key.length);
        expect(etag).not.toBe('');
      }
      expect(listed.join('\n')).toBe(wanted.join('\n'));
      const after: string[] = [];
      for await (const { key } of store.list(prefix, { startAfter: wanted[999] ?? '' })) after.push(key);
      expect(after.join('\n')).toBe(wanted.slice(1000).join('\n'));
      await store.delete(wanted);
      for await (const { key } of store.list(prefix)) expect.unreachable(key);
    });
  });
}
