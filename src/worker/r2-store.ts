import { type ByteRange, type GetOptions, type ObjectInfo, type ReadStore, StorageError, type StoredObject } from '../registry/store.ts';
import { readAll } from './byte-reader.ts';
import { type ObjectMemory, objectMemory, type Remembered, REMEMBERED_MAX } from './object-memory.ts';

/** Reads that were made of the bucket, each a class B operation. */
export interface ReadCount {
  head: number;
  get: number;
}

/** What was read of each bucket at once: by bucket, since their keys are alike. */
const memories = new WeakMap<R2Bucket, ObjectMemory>();

function memoryOf(bucket: R2Bucket): ObjectMemory {
  let memory = memories.get(bucket);
  if (memory === undefined) memories.set(bucket, (memory = objectMemory()));
  return memory;
}

/** A bucket as a {@link ReadStore}; every read is counted in `count`. Reads are not repeated here: whoever asks knows what a whole attempt is. */
export function r2Store(bucket: R2Bucket, count: ReadCount): ReadStore {
  async function head(key: string): Promise<ObjectInfo | null> {
    count.head++;
    const object = await attempt(() => bucket.head(key));
    return object === null ? null : new Info(object);
  }

  function get(key: string, { range, ifMatch, atOnce }: GetOptions = {}): Promise<StoredObject | null | 'changed'> {
    if (ifMatch !== undefined) return getUnchanged(key, range, ifMatch);
    // What is asked for without a condition comes with its bytes.
    return atOnce === true ? getAtOnce(key, range) : (readIf(key, range, undefined) as Promise<StoredObject | null>);
  }

  async function getUnchanged(key: string, range: ByteRange | undefined, etag: string): Promise<StoredObject | null | 'changed'> {
    const object = await readIf(key, range, { etagMatches: etag });
    return object === null || 'range' in object ? object : 'changed';
  }

  /** One read either way: R2 sends the object, or says that it is still the one that is remembered. */
  async function getAtOnce(key: string, range: ByteRange | undefined): Promise<StoredObject | null> {
    const memory = memoryOf(bucket);
    const name = range === undefined ? key : `${key} ${JSON.stringify(range)}`;
    const known = memory.recall(name);
    const object = await readIf(key, range, known && { etagDoesNotMatch: known.etag });
    if (object === null) {
      memory.forget(name);
      return null;
    }
    if (!('range' in object)) {
      if (known === undefined) throw new StorageError('STORAGE_UNAVAILABLE', 'storage sent an object without its bytes');
      return atHand(object, known);
    }
    if (object.range.length > REMEMBERED_MAX) return object;
    const whole: Remembered = { etag: object.etag, range: object.range, bytes: await readAll(object.body, object.range.length) };
    memory.keep(name, whole);
    return atHand(object, whole);
  }

  /** Facts alone where `onlyIf` does not hold. */
  async function readIf(key: string, range: ByteRange | undefined, onlyIf: R2Conditional | undefined): Promise<StoredObject | ObjectInfo | null> {
    count.get++;
    let object: R2ObjectBody | R2Object | null;
    try {
      object = await (range === undefined && onlyIf === undefined
        ? bucket.get(key)
        : bucket.get(key, { ...(range && { range }), ...(onlyIf && { onlyIf }) }));
    } catch (cause) {
      // R2 refuses a range that begins beyond the end (and its simulator fails); here that is a range of no bytes, and whose size is worth knowing.
      const nothing = range === undefined ? undefined : await nothingOf(key, range);
      if (nothing !== undefined) return nothing;
      throw failure(cause);
    }
    if (object === null) return null;
    return onlyIf === undefined || 'body' in object ? new Stored(object) : new Info(object);
  }

  async function nothingOf(key: string, range: ByteRange): Promise<StoredObject | null | undefined> {
    const info = await head(key);
    if (info === null) return null;
    const isBeyond = info.size === 0 || ('suffix' in range ? range.suffix === 0 : range.offset >= info.size);
    return isBeyond ? atHand(info, { etag: info.etag, range: { offset: info.size, length: 0 }, bytes: new Uint8Array() }) : undefined;
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

/** An object's facts, each taken from the platform when it is asked for: that takes longer than most of what is done with it, and of a blob only the size is. */
class Info implements ObjectInfo {
  protected readonly object: R2Object;

  constructor(object: R2Object) {
    this.object = object;
  }

  get key(): string {
    return this.object.key;
  }

  get size(): number {
    return this.object.size;
  }

  get etag(): string {
    return this.object.etag;
  }

  get contentType(): string | undefined {
    return this.object.httpMetadata?.contentType;
  }

  get metadata(): ObjectInfo['metadata'] {
    return this.object.customMetadata ?? {};
  }

  get uploaded(): Date {
    return this.object.uploaded;
  }
}

/** The same with its bytes. */
class Stored extends Info implements StoredObject {
  get range(): StoredObject['range'] {
    return rangeOf(this.object);
  }

  get body(): ReadableStream<Uint8Array> {
    return (this.object as R2ObjectBody).body as ReadableStream<Uint8Array>;
  }
}

function atHand({ key, size, etag, uploaded, metadata, contentType }: ObjectInfo, { range, bytes }: Remembered): StoredObject {
  return {
    key,
    size,
    etag,
    uploaded,
    metadata,
    ...(contentType !== undefined && { contentType }),
    range,
    bytes,
    get body() {
      return bodyOf(bytes);
    },
  };
}

function rangeOf({ size, range }: R2Object): { offset: number; length: number } {
  if (range === undefined) return { offset: 0, length: size };
  // The runtime names all three, whichever are set.
  const { offset = 0, length, suffix } = range as { offset?: number; length?: number; suffix?: number };
  if (suffix !== undefined) return { offset: Math.max(0, size - suffix), length: Math.min(size, suffix) };
  return { offset, length: Math.min(size - offset, length ?? size) };
}

function bodyOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
