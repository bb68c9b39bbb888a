import { type ByteRange, type GetOptions, type ObjectInfo, type ReadStore, StorageError, type StoredObject } from '../registry/store.ts';

/** Reads that were made of the bucket, each a class B operation. */
export interface ReadCount {
  head: number;
  get: number;
}

/** A bucket as a {@link ReadStore}; every read is counted in `count`. Reads are not repeated here: whoever asks knows what a whole attempt is. */
export function r2Store(bucket: R2Bucket, count: ReadCount): ReadStore {
  async function head(key: string): Promise<ObjectInfo | null> {
    count.head++;
    const object = await attempt(() => bucket.head(key));
    return object === null ? null : infoOf(object);
  }

  async function get(key: string, { range, ifMatch }: GetOptions = {}): Promise<StoredObject | null | 'changed'> {
    count.get++;
    const options = { ...(range && { range }), ...(ifMatch !== undefined && { onlyIf: { etagMatches: ifMatch } }) };
    let object: R2ObjectBody | R2Object | null;
    try {
      object = await bucket.get(key, options);
    } catch (cause) {
      // R2 refuses a range that begins beyond the end (and its simulator fails); here that is a range of no bytes, and whose size is worth knowing.
      const nothing = range === undefined ? undefined : await nothingOf(key, range);
      if (nothing !== undefined) return nothing;
      throw failure(cause);
    }
    if (object === null) return null;
    if (!('body' in object)) return 'changed';
    return { ...infoOf(object), range: rangeOf(object), body: object.body as ReadableStream<Uint8Array> };
  }

  async function nothingOf(key: string, range: ByteRange): Promise<StoredObject | null | undefined> {
    const info = await head(key);
    if (info === null) return null;
    const isBeyond = info.size === 0 || ('suffix' in range ? range.suffix === 0 : range.offset >= info.size);
    return isBeyond ? { ...info, range: { offset: info.size, length: 0 }, body: emptyBody() } : undefined;
  }

  return { head, get };
}

/** A store in which nothing is: for callers who may not learn what is. */
export const EMPTY_STORE: ReadStore = { head: () => Promise.resolve(null), get: () => Promise.resolve(null) };

async function attempt<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw failure(cause);
  }
}

function failure(cause: unknown): StorageError {
  return new StorageError('STORAGE_UNAVAILABLE', cause instanceof Error ? cause.message : String(cause), { cause });
}

function infoOf(object: R2Object): ObjectInfo {
  const { key, size, etag, uploaded, httpMetadata, customMetadata } = object;
  const contentType = httpMetadata?.contentType;
  return { key, size, etag, uploaded, metadata: customMetadata ?? {}, ...(contentType !== undefined && { contentType }) };
}

function rangeOf({ size, range }: R2Object): { offset: number; length: number } {
  if (range === undefined) return { offset: 0, length: size };
  // The runtime names all three, whichever are set.
  const { offset = 0, length, suffix } = range as { offset?: number; length?: number; suffix?: number };
  if (suffix !== undefined) return { offset: Math.max(0, size - suffix), length: Math.min(size, suffix) };
  return { offset, length: Math.min(size - offset, length ?? size) };
}

function emptyBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}
