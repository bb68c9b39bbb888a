import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { clientSink, fillBlob, PART_SIZE } from '../../../src/worker/ingest/fill-blob.ts';
import { hanging } from '../buckets.ts';
import { hash } from '../seed.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

function bytesOf(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

const keep = (): void => undefined;

describe('filling', { timeout: 30_000 }, () => {
  it.each([
    ['in one piece', 1_083_953, undefined],
    ['in parts', 10_000_000, 0],
    ['in parts, of which the last is full', PART_SIZE, 0],
    ['that is empty', 0, undefined],
    ['that is empty, in parts', 0, 0],
  ])('gives client and bucket the same bytes: %s', async (title, length, wholeUpTo) => {
    const bytes = bytesOf(length);
    const digest = await hash(bytes);
    const { body, sink } = clientSink(bytes.length);
    const key = `both ${title}`;
    const filling = fillBlob(
      { size: bytes.length, chunks: inChunks(bytes, 100_000) },
      { digest, key, bucket, client: sink, keep, ...(wholeUpTo !== undefined && { wholeUpTo }) },
    );
    expect(await hash(new Uint8Array(await new Response(body).arrayBuffer()))).toBe(digest);
    expect(await filling).toBe('stored');
    const stored = await bucket.get(key);
    expect(await hash(new Uint8Array((await stored?.arrayBuffer()) ?? new ArrayBuffer(1)))).toBe(digest);
  });

  it('stores a blob whose length nobody knows', async () => {
    const bytes = bytesOf(100_000);
    const digest = await hash(bytes);
    expect(
      await fillBlob(
        { size: undefined, chunks: inChunks(bytes, 999) },
        { digest, key: 'unknown length', bucket, client: null, keep },
      ),
    ).toBe('stored');
    expect((await bucket.head('unknown length'))?.size).toBe(bytes.length);
  });

  it('checks a sha512 digest as well', async () => {
    const bytes = bytesOf(5_000);
    const digest = await hash(bytes, 'sha512');
    expect(
      await fillBlob(
        { size: bytes.length, chunks: inChunks(bytes, 999) },
        { digest, key: 'sha512', bucket, client: null, keep },
      ),
    ).toBe('stored');
  });

  it.each([
    ['in one piece', undefined],
    ['in parts', 0],
  ])('gives neither of them a whole wrong blob: %s', async (title, wholeUpTo) => {
    const bytes = bytesOf(9_000_000);
    const digest = await hash(bytesOf(9_000));
    const { body, sink } = clientSink(bytes.length);
    const key = `wrong ${title}`;
    const filling = fillBlob(
      { size: bytes.length, chunks: inChunks(bytes, 1_000_000) },
      { digest, key, bucket, client: sink, keep, ...(wholeUpTo !== undefined && { wholeUpTo }) },
    );
    const got = new Response(body).arrayBuffer();
    await expect(filling).rejects.toThrow(/the content of/);
    await expect(got).rejects.toThrow();
    expect(await bucket.head(key)).toBeNull();
  });

  it('stores the blob although the client leaves', async () => {
    const bytes = bytesOf(500_000);
    const digest = await hash(bytes);
    const { body, sink } = clientSink(bytes.length);
    const reader = body.getReader();
    const filling = fillBlob(
      { size: bytes.length, chunks: inChunks(bytes, 10_000) },
      { digest, key: 'left', bucket, client: sink, keep },
    );
    await reader.read();
    await reader.cancel('gone');
    expect(await filling).toBe('stored');
    expect((await bucket.head('left'))?.size).toBe(bytes.length);
  });

  it('does not wait for a client that is slow, which gets the rest from the bucket', async () => {
    const bytes = bytesOf(500_000);
    const digest = await hash(bytes);
    const { body, sink } = clientSink(bytes.length);
    const kept: Promise<unknown>[] = [];
    const filled = await fillBlob(
      { size: bytes.length, chunks: inChunks(bytes, 10_000) },
      { digest, key: 'slow', bucket, client: sink, keep: (work) => kept.push(work) },
    );
    // Nothing was read until now.
    expect([filled, sink.isBehind()]).toEqual(['stored', true]);
    expect(await hash(new Uint8Array(await new Response(body).arrayBuffer()))).toBe(digest);
    await Promise.all(kept);
  });

  it('cuts a slow client off whose rest hangs in storage, in time', async () => {
    const bytes = bytesOf(500_000);
    const digest = await hash(bytes);
    const { body, sink } = clientSink(bytes.length);
    const kept: Promise<unknown>[] = [];
    const silent = new Proxy(bucket, {
      get(target, property): unknown {
        if (property === 'get') return async (key: string) => hanging(await target.get(key));
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const source = { size: bytes.length, chunks: inChunks(bytes, 10_000) };
    await fillBlob(source, { digest, key: 'hanging', bucket: silent, client: sink, keep: (work) => kept.push(work) });
    await expect(new Response(body).arrayBuffer()).rejects.toThrow();
    await Promise.all(kept);
  });

  it('gives the client the blob although storage fails', async () => {
    const bytes = bytesOf(500_000);
    const digest = await hash(bytes);
    const { body, sink } = clientSink(bytes.length);
    const failing = { put: () => Promise.reject(new Error('storage is down')) } as unknown as R2Bucket;
    const filling = fillBlob(
      { size: bytes.length, chunks: inChunks(bytes, 10_000) },
      { digest, key: 'fails', bucket: failing, client: sink, keep },
    );
    expect(await hash(new Uint8Array(await new Response(body).arrayBuffer()))).toBe(digest);
    expect(await filling).toBe('passed-on');
  });
});
