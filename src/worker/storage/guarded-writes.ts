/**
 * Refuses the Worker's writes to a bucket that a newer gantry wrote. Fetched images are still served, but not stored.
 * The settings of the bucket come from the same read.
 */
import {
  type BucketFormat,
  type BucketSettings,
  NO_SETTINGS,
  readFormat,
  refuseNewerFormat,
  withPreparedWrites,
} from '../../bucket/format.ts';
import { type StorageRetryPolicy, withRetry } from '../../bucket/retry.ts';
import type { WriteStore } from '../../registry/store.ts';

/** Milliseconds that the bucket's format is cached in an isolate. */
const FORMAT_LIFETIME = 60_000;

const formats = new WeakMap<R2Bucket, { readonly format: BucketFormat | null; readonly until: number }>();

/** Where the Worker writes, and the settings that it obeys. */
export interface GuardedWrites extends Writes {
  /** The settings of the bucket, of the last minute; no operation beside that for the format. Throws StorageError. */
  readonly settings: () => Promise<BucketSettings>;
}

/** Where the Worker writes: records through the store, long blobs into the bucket itself. */
export interface Writes {
  readonly bucket: R2Bucket;
  readonly store: WriteStore;
}

/** The same, with a look at the bucket's format before anything is written. Then writes throw StorageError. */
export function guardWrites({ bucket, store }: Writes, retry: StorageRetryPolicy): GuardedWrites {
  const look = async (): Promise<BucketFormat | null> => {
    const now = Date.now();
    let known = formats.get(bucket);
    if (known === undefined || known.until <= now) {
      known = { format: await withRetry(() => readFormat(store), retry), until: now + FORMAT_LIFETIME };
      formats.set(bucket, known);
    }
    if (known.format !== null) refuseNewerFormat(known.format, 'the bucket');
    return known.format;
  };
  const prepare = async (): Promise<WriteStore> => {
    await look();
    return store;
  };
  return {
    store: withPreparedWrites(store, prepare),
    bucket: guardBucket(bucket, prepare),
    settings: async () => (await look())?.settings ?? NO_SETTINGS,
  };
}

/** The bucket with its two ways to write a blob guarded; everything else passes. */
function guardBucket(bucket: R2Bucket, prepare: () => Promise<unknown>): R2Bucket {
  return new Proxy(bucket, {
    get(target, property): unknown {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      const call = value as (...args: unknown[]) => unknown;
      if (property !== 'put' && property !== 'createMultipartUpload') return call.bind(target);
      return async (...args: unknown[]): Promise<unknown> => {
        await prepare();
        return call.apply(target, args);
      };
    },
  });
}
