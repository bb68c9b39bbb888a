/** The suites of stores, over those of the Worker: R2 by its binding, and the overlay. */
import { env } from 'cloudflare:workers';
import { describeReadStore, describeWriteStore } from '../../conformance/stores.ts';
import { overlay } from '../../../src/worker/ingest/overlay.ts';
import { r2Store } from '../../../src/worker/storage/r2-store.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

describeWriteStore("R2's binding", () =>
  Promise.resolve({
    store: r2Store(bucket, { head: 0, get: 0 }),
    longBody: 2_000_000,
    close: () => Promise.resolve(),
  }),
);

describeReadStore('an overlay, the object in front', (object) =>
  Promise.resolve(overlay(r2Store(bucket, { head: 0, get: 0 }), object)),
);

describeReadStore('an overlay, the object behind', async ({ key, bytes, ...options }) => {
  const store = r2Store(bucket, { head: 0, get: 0 });
  await store.put(key, bytes, options);
  return overlay(store, { key: `${key} in front`, bytes: new Uint8Array(1), contentType: '', metadata: {} });
});
