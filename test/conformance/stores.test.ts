import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLocal } from '../../src/publisher/local/open-local.ts';
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
