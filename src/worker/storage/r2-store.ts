import {
  BodyError,
  type BodyStream,
  type ByteRange,
  type GetOptions,
  type ListedObject,
  type ObjectInfo,
  type PutOptions,
  type ReadStore,
  StorageError,
  type StoredObject,
  type WriteStore,
} from '../../registry/store.ts';
import { messageOf } from '../../registry/values/error-message.ts';
import { readAll } from '../../bucket/read-object.ts';
import { type ObjectMemory, objectMemory, type Remembered, REMEMBERED_MAX } from './object-cache.ts';

/** Reads of the bucket, each a class B operation. */
export interface ReadCount {
  head: number;
  get: number;
}

/** Recently read objects, by bucket: different buckets have the same keys. */
const memories = new WeakMap<R2Bucket, ObjectMemory>();

function memoryOf(bucket: R2Bucket): ObjectMemory {
  let memory = memories.get(bucket);
  if (memory === undefined) memories.set(bucket, (memory = objectMemory()));
  return memory;
}

/**
 * A bucket as a {@link WriteStore}; every read is counted in `count`. Nothing is retried here: the caller knows what a
 * whole attempt is (bucket/retry.ts).
 */
export function r2Store(bucket: R2Bucket, count: ReadCount): WriteStore {
  return new R2Store(bucket, count);
}

// There is one for each request: a class creates no functions anew.
class R2Store implements WriteStore {
  readonly #bucket: R2Bucket;
  readonly #count: ReadCount;

  constructor(bucket: R2Bucket, count: ReadCount) {
    this.#bucket = bucket;
    this.#count = count;
  }

  async head(key: string): Promise<Info | null> {
    this.#count.head++;
    let object: R2Object | null;
    try {
      object = await this.#bucket.head(key);
    } catch (cause) {
      throw failure(cause);
    }
    return object === null ? null : new Info(object);
  }

  get(key: string, { range, ifMatch, atOnce }: GetOptions = {}): Promise<StoredObject | null | 'changed'> {
    if (ifMatch !== undefined) return this.#getUnchanged(key, range, ifMatch);
    return atOnce === true ? this.#getAtOnce(key, range) : this.#read(key, range, undefined);
  }

  async #getUnchanged(
    key: string,
    range: ByteRange | undefined,
    etag: string,
  ): Promise<StoredObject | null | 'changed'> {
    const object = await this.#read(key, range, { etagMatches: etag });
    return object === null || 'range' in object ? object : 'changed';
  }

  /** One read either way: R2 sends the object, or reports that the cached one is current. */
  async #getAtOnce(key: string, range: ByteRange | undefined): Promise<StoredObject | null> {
    const memory = memoryOf(this.#bucket);
    const name = range === undefined ? key : `${key} ${JSON.stringify(range)}`;
    const known = memory.recall(name);
    const object = await this.#read(key, range, known && { etagDoesNotMatch: known.etag });
    if (object === null) {
      memory.forget(name);
      return null;
    }
    if (!('range' in object)) {
      // R2 sends no body only for a condition.
      if (known === undefined)
        throw new StorageError('STORAGE_UNAVAILABLE', 'storage sent an object without its bytes');
      return new AtHand(object, known);
    }
    const { range: found } = object;
    if (found.length > REMEMBERED_MAX) return object;
    const whole: Remembered = { etag: object.etag, range: found, bytes: await readAll(object.body, found.length) };
    memory.keep(name, whole);
    return new AtHand(object, whole);
  }

  /** No body if `onlyIf` does not hold. */
  #read(key: string, range: ByteRange | undefined, onlyIf: undefined): Promise<Stored | AtHand | null>;
  #read(
    key: string,
    range: ByteRange | undefined,
    onlyIf: R2Conditional | undefined,
  ): Promise<Stored | AtHand | Info | null>;
  async #read(
    key: string,
    range: ByteRange | undefined,
    onlyIf: R2Conditional | undefined,
  ): Promise<Stored | AtHand | Info | null> {
    this.#count.get++;
    let object: R2ObjectBody | R2Object | null;
    try {
      object = await (range === undefined && onlyIf === undefined
        ? this.#bucket.get(key)
        : this.#bucket.get(key, { ...(range && { range }), ...(onlyIf && { onlyIf }) }));
    } catch (cause) {
      // R2 refuses a range that begins beyond the end (its simulator fails): here that is an empty range.
      const nothing = range === undefined ? undefined : await this.#nothingOf(key, range);
      if (nothing !== undefined) return nothing;
      throw failure(cause);
    }
    if (object === null) return null;
    return onlyIf === undefined || 'body' in object ? new Stored(object) : new Info(object);
  }

  async put(
    key: string,
    body: Uint8Array | BodyStream,
    { contentType, metadata, sha256, onlyIf, signal }: PutOptions,
  ): Promise<{ readonly etag: string } | 'precondition-failed'> {
    const options: R2PutOptions = {
      httpMetadata: { contentType },
      ...(metadata !== undefined && { customMetadata: { ...metadata } }),
      ...(sha256 !== undefined && { sha256 }),
      ...(onlyIf !== undefined && { onlyIf: conditionOf(onlyIf) }),
    };
    signal?.throwIfAborted();
    try {
      const written = await (body instanceof Uint8Array
        ? this.#bucket.put(key, body, options)
        : this.#putStream(key, body, options, signal));
      // The type says that it is never null without a condition.
      return (written as R2Object | null) === null ? 'precondition-failed' : { etag: written.etag };
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof BodyError) throw cause.cause;
      throw failure(cause);
    }
  }

  /** Sends a body as it is read. A failure of the body itself is a {@link BodyError}. */
  async #putStream(
    key: string,
    { size, chunks }: BodyStream,
    options: R2PutOptions,
    signal: AbortSignal | undefined,
  ): Promise<R2Object> {
    const { readable, writable } = new FixedLengthStream(size);
    const writer = writable.getWriter();
    const put = this.#bucket.put(key, readable, options);
    // A write never settles once storage has stopped reading.
    const stopped = put.then((): never => {
      throw new Error('storage answered before the body ended');
    });
    stopped.catch(() => undefined);
    const abort = async (cause: unknown): Promise<never> => {
      await writer.abort(cause).catch(() => undefined);
      await put.catch(() => undefined);
      throw new BodyError(cause);
    };
    let length = 0;
    const iterator = chunks[Symbol.asyncIterator]();
    for (;;) {
      const next = await iterator.next().catch(abort);
      if (next.done === true) break;
      length += next.value.length;
      if (signal?.aborted === true) return abort(signal.reason);
      if (length > size) {
        await iterator.return?.();
        return abort(
          new StorageError('DIGEST_MISMATCH', `writing ${key}: the body is longer than ${String(size)} bytes`),
        );
      }
      // Storage may have the whole body before the last write settles.
      await Promise.race([writer.write(next.value), length < size ? stopped : put]);
    }
    if (length < size)
      return abort(
        new StorageError('DIGEST_MISMATCH', `writing ${key}: the body is shorter than ${String(size)} bytes`),
      );
    await Promise.race([writer.close(), put]);
    return put;
  }

  async delete(keys: readonly string[]): Promise<void> {
    try {
      for (let at = 0; at < keys.length; at += BATCH) await this.#bucket.delete(keys.slice(at, at + BATCH));
    } catch (cause) {
      throw failure(cause);
    }
  }

  /** A binding carries a deletion out at once. */
  get deleteFenced(): undefined {
    return undefined;
  }

  async *list(
    prefix: string,
    { startAfter, signal }: { readonly startAfter?: string; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<ListedObject> {
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      let page: R2Objects;
      try {
        page = await this.#bucket.list({
          prefix,
          ...(startAfter !== undefined && { startAfter }),
          ...(cursor !== undefined && { cursor }),
        });
      } catch (cause) {
        throw failure(cause);
      }
      for (const { key, size, etag, uploaded } of page.objects) yield { key, size, etag, uploaded };
      cursor = page.truncated ? page.cursor : undefined;
    } while (cursor !== undefined);
  }

  async #nothingOf(key: string, range: ByteRange): Promise<AtHand | null | undefined> {
    const info = await this.head(key);
    if (info === null) return null;
    const { size, etag } = info;
    const isBeyond = size === 0 || ('suffix' in range ? range.suffix === 0 : range.offset >= size);
    return isBeyond
      ? new AtHand(info, { etag, range: { offset: size, length: 0 }, bytes: new Uint8Array() })
      : undefined;
  }
}

/** An empty store, for callers who must not learn what is stored. */
export const EMPTY_STORE: ReadStore = { head: () => Promise.resolve(null), get: () => Promise.resolve(null) };

function failure(cause: unknown): StorageError {
  const message = messageOf(cause);
  return new StorageError(CHECKSUM_FAILED.test(message) ? 'DIGEST_MISMATCH' : 'STORAGE_UNAVAILABLE', message, {
    cause,
  });
}

// R2's error 10037: "The SHA-256 checksum you specified did not match what we received."
const CHECKSUM_FAILED = /\(10037\)|checksum you specified did not match/;

/** Keys that R2 deletes at once. */
const BATCH = 1_000;

// Objects with the same bytes have the same etag; the time distinguishes them.
function conditionOf(onlyIf: NonNullable<PutOptions['onlyIf']>): R2Conditional | Headers {
  if (onlyIf === 'absent') return new Headers({ 'if-none-match': '*' });
  const { etag, uploaded } = onlyIf;
  return { etagMatches: etag, ...(uploaded !== undefined && { uploadedBefore: new Date(uploaded.getTime() + 1) }) };
}

/**
 * An object's facts, read from the platform on access: that costs more than most uses of them, and of a blob only the
 * size is used.
 */
class Info implements ObjectInfo {
  readonly object: R2Object;

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

/** An object with its body. */
class Stored extends Info implements StoredObject {
  get range(): StoredObject['range'] {
    return rangeOf(this.object);
  }

  get body(): ReadableStream<Uint8Array> {
    return (this.object as R2ObjectBody).body as ReadableStream<Uint8Array>;
  }
}

/** An object whose bytes are in memory. */
class AtHand extends Info implements StoredObject {
  readonly range: StoredObject['range'];
  readonly bytes: Uint8Array;

  constructor({ object }: Info, { range, bytes }: Remembered) {
    super(object);
    this.range = range;
    this.bytes = bytes;
  }

  get body(): ReadableStream<Uint8Array> {
    return bodyOf(this.bytes);
  }
}

function rangeOf({ size, range }: R2Object): { offset: number; length: number } {
  if (range === undefined) return { offset: 0, length: size };
  // The runtime has all three members, whichever are set.
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
