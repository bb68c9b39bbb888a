import { describe, expect, it } from 'vitest';
import { openPendingBlobs } from '../../../src/publisher/receive/pending-blobs.ts';
import { StorageError } from '../../../src/registry/store.ts';
import { Bucket } from '../gc-bucket.ts';

const OPTIONS = { contentType: 'application/octet-stream' };
const bytes = new TextEncoder().encode('blob');

/** Whether a promise settles before the event loop has nothing else to do. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => (settled = true)).catch(() => undefined);
  await new Promise(setImmediate);
  return settled;
}

describe('a blob on its way to storage', () => {
  it('is found by those who ask for it, once it is stored', async () => {
    const bucket = new Bucket();
    const pending = openPendingBlobs(bucket);
    const { promise: opened, resolve: open } = Promise.withResolvers<undefined>();
    await pending.begin('blob', async (store) => {
      await opened;
      await store.put('blob', bytes, OPTIONS);
    });
    const head = pending.store.head('blob');
    const get = pending.store.get('blob');
    const settled = pending.settled();
    expect([await isSettled(head), await isSettled(get), await isSettled(settled)]).toEqual([false, false, false]);
    expect(await pending.store.head('another')).toBeNull();
    open(undefined);
    expect((await head)?.size).toBe(4);
    expect(await get).not.toBeNull();
    await settled;
  });

  it('that cannot be stored is an error once, and then a blob that was not sent', async () => {
    const pending = openPendingBlobs(new Bucket());
    await pending.begin('blob', () => Promise.reject(new StorageError('STORAGE_UNAVAILABLE', 'storage is away')));
    await pending.settled();
    await expect(pending.store.head('blob')).rejects.toThrow('storage is away');
    expect(await pending.store.head('blob')).toBeNull();
  });

  it('waits for its turn where many are on their way', async () => {
    const pending = openPendingBlobs(new Bucket());
    const { promise: opened, resolve: open } = Promise.withResolvers<undefined>();
    for (let at = 0; at < 6; at++) await pending.begin(`blob ${String(at)}`, () => opened.then(() => undefined));
    const seventh = pending.begin('blob 7', () => Promise.resolve());
    expect(await isSettled(seventh)).toBe(false);
    open(undefined);
    await seventh;
  });
});
