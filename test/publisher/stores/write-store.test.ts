import { Bucket } from '../gc-bucket.ts';
import { PART, startS3Bed } from './s3-bed.ts';
import { describeWriteStore } from './write-store-suite.ts';

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

describeWriteStore('the bucket in memory that tests use', () =>
  Promise.resolve({ store: new Bucket(), longBody: 200_000, close: () => Promise.resolve() }),
);
