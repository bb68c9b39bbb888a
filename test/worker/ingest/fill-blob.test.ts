import { env } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { clientSink, fillBlob } from '../../../src/worker/ingest/fill-blob.ts';
import { hash } from '../seed.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

function bytesOf(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) % 251);
}

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

describe('filling', () => {
  it('gives client and bucket the same bytes', async () => {
    const bytes = bytesOf(1_083_953);
    const digest = await hash(bytes);
    const { body, sink } = clientSink(bytes.length);
    const filling = fillBlob({ size: bytes.length, chunks: inChunks(bytes, 4096) }, { digest, key: 'both', bucket, client: sink });
    const got = new Uint8Array(await new Response(body).arrayBuffer());
    expect(await hash(got)).toBe(digest);
    expect(await filling).toBe('stored');
    expect((await bucket.head('both'))?.size).toBe(bytes.length);
  });
});
