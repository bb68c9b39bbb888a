import { StorageError, type StoredObject } from '../../registry/store.ts';

/** Reads a body front to back, as much of it as is wanted. */
export interface ByteReader {
  /** The next `length` bytes. Throws {@link StorageError} if the body breaks off before. */
  take(length: number): Promise<Uint8Array>;
  /** Passes over bytes. */
  skip(length: number): Promise<void>;
  /** The next `length` bytes, as the chunks that they arrive in. Throws {@link StorageError}. */
  pass(length: number): AsyncGenerator<Uint8Array, void, undefined>;
  /** Lets go of the rest. */
  end(): Promise<void>;
}

/** A reader of a stored body. */
export function readBytes(body: ReadableStream<Uint8Array>): ByteReader {
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
      result = await reader.read();
    } catch (cause) {
      throw new StorageError('STORAGE_UNAVAILABLE', 'the object broke off while it was read', { cause });
    }
    if (result.done) throw new StorageError('STORAGE_UNAVAILABLE', 'the object ended before it should');
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
      // What has failed already says so where it was read.
      await reader.cancel().catch(() => undefined);
    },
  };
}

/** Bytes of the longest body that is taken at once: the runtime does that without a detour through this program, and what is skipped costs less than to stop. */
const AT_ONCE = 262_144;

/** A reader of a stored object: over all of it where it is short. Throws {@link StorageError}. */
export async function openBytes(
  object: Pick<StoredObject, 'body' | 'bytes' | 'size'>,
): Promise<Omit<ByteReader, 'pass'>> {
  if (object.bytes === undefined && object.size > AT_ONCE) return readBytes(object.body);
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
    end: () => Promise.resolve(),
  };
}

/** All bytes of a body whose length is known. Throws {@link StorageError}. */
export async function readAll(body: ReadableStream<Uint8Array>, length: number): Promise<Uint8Array> {
  let bytes;
  try {
    bytes = new Uint8Array(await new Response(body).arrayBuffer());
  } catch (cause) {
    throw new StorageError('STORAGE_UNAVAILABLE', 'the object broke off while it was read', { cause });
  }
  if (bytes.length !== length) throw new StorageError('STORAGE_UNAVAILABLE', 'the object ended before it should');
  return bytes;
}
