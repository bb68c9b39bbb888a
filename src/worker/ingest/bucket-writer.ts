/** Writing small objects to the bucket: manifests, configs, tag objects, lists. Readers see the old object or the new one, whole. */
import { type ObjectInfo, StorageError } from '../../registry/store.ts';
import { type Persistence, persist } from '../../bucket/retry.ts';

/** How an object is written. */
export interface WriteOptions {
  readonly contentType: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Hex sha256 of the bytes, which storage checks. */
  readonly sha256?: string;
  /** Write only where nothing is, or over exactly this object; null writes whatever is there. */
  readonly over: 'absent' | Pick<ObjectInfo, 'etag' | 'uploaded'> | null;
}

/** Writes. Throws {@link StorageError}. */
export interface BucketWriter {
  put(key: string, bytes: Uint8Array, options: WriteOptions): Promise<'written' | 'changed'>;
}

/** A writer to a bucket, which tries again as reads do. */
export function bucketWriter(bucket: R2Bucket, persistence: Persistence): BucketWriter {
  return {
    put: (key, bytes, { contentType, metadata, sha256, over }) =>
      persist(
        async () => {
          try {
            const written = await bucket.put(key, bytes, {
              httpMetadata: { contentType },
              ...(metadata !== undefined && { customMetadata: { ...metadata } }),
              ...(sha256 !== undefined && { sha256 }),
              ...(over !== null && { onlyIf: conditionOf(over) }),
            });
            // Typed as never null without a condition.
            return (written as R2Object | null) === null ? 'changed' : 'written';
          } catch (cause) {
            throw new StorageError('STORAGE_UNAVAILABLE', cause instanceof Error ? cause.message : String(cause), {
              cause,
            });
          }
        },
        persistence,
        () => undefined,
      ),
  };
}

// An object with the same bytes has the same etag, whoever wrote it: the time tells them apart.
function conditionOf(over: 'absent' | Pick<ObjectInfo, 'etag' | 'uploaded'>): R2Conditional | Headers {
  if (over === 'absent') return new Headers({ 'if-none-match': '*' });
  return { etagMatches: over.etag, uploadedBefore: new Date(over.uploaded.getTime() + 1) };
}
