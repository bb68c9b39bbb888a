import { type ObjectInfo, type ReadStore, StorageError, type StoredObject } from '../registry/store.ts';

/** Reads a body from its beginning, in pieces. */
export interface ByteReader {
  /** The next `length` bytes. Throws {@link StorageError} if the body ends before. */
  take(length: number): Promise<Uint8Array>;
  /** Skips the next `length` bytes. */
  skip(length: number): Promise<void>;
  /** The next `length` bytes, as the chunks that they arrive in. Throws {@link StorageError}. */
  pass(length: number): AsyncGenerator<Uint8Array, void, undefined>;
  /** Cancels the rest of the body. */
  end(): Promise<void>;
}

/**
 * Milliseconds without a byte after which a body has failed. Otherwise storage that answers and then sends nothing
 * would block a request, and all that wait for its result, until the platform ends it.
 */
export const SILENCE_LIMIT = 10_000;

/** Bytes a second below which a body that is read whole has failed. */
const SLOWEST = 65_536;

/** A reader of a stored body. `limit`: milliseconds without a byte. */
export function readBytes(body: ReadableStream<Uint8Array>, limit = SILENCE_LIMIT): ByteReader {
  const reader = body.getReader();
  let rest = new Uint8Array(0);

  async function each(length: number, use: (part: Uint8Array) => void): Promise<void> {
    for (let left = length; left > 0;) {
      if (rest.length === 0) rest = await next();
      const part = rest.subarray(0, left);
      rest = rest.subarray(part.length);
      left -= part.length;
      use(part);
    }
  }

  async function next(): Promise<Uint8Array<ArrayBuffer>> {
    let result;
    try {
      result = await withLimit(reader.read(), limit);
    } catch (cause) {
      throw cause instanceof StorageError ? cause : brokenOff(cause);
    }
    if (result.done) throw new StorageError('STORAGE_UNAVAILABLE', 'the object ended before its length');
    return new Uint8Array(result.value.buffer as ArrayBuffer, result.value.byteOffset, result.value.byteLength);
  }

  return {
    async take(length) {
      const bytes = new Uint8Array(length);
      let at = 0;
      await each(length, (part) => {
        bytes.set(part, at);
        at += part.length;
      });
      return bytes;
    },
    skip: (length) => each(length, () => undefined),
    async *pass(length) {
      for (let left = length; left > 0;) {
        if (rest.length === 0) rest = await next();
        const part = rest.subarray(0, left);
        rest = rest.subarray(part.length);
        left -= part.length;
        yield part;
      }
    },
    end: async () => {
      // A failure was thrown where it was read. A body that hangs may hang here too.
      const cancelled = reader.cancel().catch(() => undefined);
      await withLimit(cancelled, limit).catch(() => undefined);
    },
  };
}

/**
 * Bytes of the longest body that is read whole: the runtime does that natively, and bytes that are skipped cost less
 * than stopping. A longer one would take memory for each slow client.
 */
export const WHOLE_UP_TO = 262_144;

/** A reader of a stored object, which reads a short one whole. Throws {@link StorageError}. */
export async function openBytes(object: Pick<StoredObject, 'body' | 'bytes' | 'size'>): Promise<ByteReader> {
  if (object.bytes === undefined && object.size > WHOLE_UP_TO) return readBytes(object.body);
  const bytes = object.bytes ?? (await readAll(object.body, object.size));
  let at = 0;
  return {
    take: (length) => {
      const from = at;
      at += length;
      return Promise.resolve(bytes.subarray(from, at));
    },
    skip: (length) => {
      at += length;
      return Promise.resolve();
    },
    async *pass(length) {
      yield await Promise.resolve(bytes.subarray(at, at + length));
      at += length;
    },
    end: () => Promise.resolve(),
  };
}

/**
 * All bytes of a body, which the runtime reads natively. `length`: what they must be; undefined if it is not known.
 * Throws {@link StorageError}.
 */
export async function readAll(
  body: ReadableStream<Uint8Array>,
  length: number | undefined,
  limit = SILENCE_LIMIT + ((length ?? WHOLE_UP_TO) / SLOWEST) * 1000,
): Promise<Uint8Array> {
  let bytes;
  try {
    bytes = new Uint8Array(await withLimit(new Response(body).arrayBuffer(), limit));
  } catch (cause) {
    throw cause instanceof StorageError ? cause : brokenOff(cause);
  }
  if (length !== undefined && bytes.length !== length)
    throw new StorageError('STORAGE_UNAVAILABLE', 'the object ended before its length');
  return bytes;
}

/** An object with all its bytes. */
export interface WholeObject {
  readonly info: ObjectInfo;
  readonly bytes: Uint8Array;
}

/** Reads a whole object; null if it is not stored. Throws {@link StorageError}. */
export async function readObject(store: ReadStore, key: string): Promise<WholeObject | null> {
  const object = await store.get(key);
  if (object === null) return null;
  // Only a read of a given version can find another one.
  if (object === 'changed') throw new TypeError('an unconditional read cannot find a changed object');
  return { info: object, bytes: object.bytes ?? (await readAll(object.body, object.size)) };
}

/** The result of a read of a body. Throws {@link StorageError} if it takes longer than the limit, in milliseconds. */
async function withLimit<T>(read: Promise<T>, limit: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const seconds = String(Math.round(limit / 1000));
      reject(
        new StorageError('STORAGE_UNAVAILABLE', `storage sent the object too slowly, or nothing for ${seconds} s`),
      );
    }, limit);
  });
  try {
    return await Promise.race([read, late]);
  } finally {
    clearTimeout(timer);
  }
}

function brokenOff(cause: unknown): StorageError {
  return new StorageError('STORAGE_UNAVAILABLE', 'the object ended early while it was read', { cause });
}
