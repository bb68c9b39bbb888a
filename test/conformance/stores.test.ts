import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLocal } from '../../src/publisher/local/open-local.ts';
import { STREAMED_MAX } from '../../src/publisher/streams/buffer-sizes.ts';
import { Bucket } from '../publisher/gc-bucket.ts';
import { asDocumented } from '../publisher/stores/r2-modes.ts';
import { PART, startS3Bed } from '../publisher/stores/s3-bed.ts';
import { describeWriteStore } from './stores.ts';

describeWriteStore('S3, which checks the hash of each request', async () => {
  const bed = await startS3Bed();
  return {
    store: bed.store('direct', { checks: 'hash', prefix: 'below/' }),
    longBody: 2 * PART + 12_345,
    close: () => bed.close(),
  };
});

describeWriteStore('S3, of which the etag of the whole is checked', async () => {
  const bed = await startS3Bed();
  return { store: bed.store('direct', { checks: 'none' }), longBody: 2 * PART + 12_345, close: () => bed.close() };
});

describeWriteStore('R2 as its documentation says', async () => {
  const bed = await startS3Bed();
  bed.proxy.fault = asDocumented();
  return { store: bed.store('proxy'), longBody: 2 * PART + 12_345, close: () => bed.close() };
});

describeWriteStore('the bucket in memory that tests use', () =>
  Promise.resolve({ store: new Bucket(), longBody: 200_000, close: () => Promise.resolve() }),
);

it('the local store keeps a long layer whole, because parts are read slowly', async () => {
  const state = await mkdtemp(join(tmpdir(), 'gantry-conformance-'));
  const target = await openLocal(state);
  try {
    const chunk = Buffer.alloc(2 ** 20);
    const size = STREAMED_MAX + chunk.length;
    const chunks = () => ReadableStream.from(Array.from({ length: size / chunk.length }, () => chunk));
    const body = { size, chunks: chunks(), verified: true, validChunks: Infinity, reread: chunks };
    const hash = createHash('sha256');
    for await (const one of chunks()) hash.update(one);
    const sha256 = hash.digest('hex');
    await target.store.put('long', body, { contentType: 'application/octet-stream', sha256 });
    // The ETag of a body in parts ends in their number.
    expect(await target.store.head('long')).toMatchObject({
      size,
      etag: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    });
  } finally {
    await target.close();
    await rm(state, { recursive: true, force: true });
  }
});

describeWriteStore('the local store', async () => {
  const state = await mkdtemp(join(tmpdir(), 'gantry-conformance-'));
  const target = await openLocal(state);
  return {
    store: target.store,
    longBody: 2 * PART + 12_345,
    close: async () => {
      await target.close();
      await rm(state, { recursive: true, force: true });
    },
  };
});
