import { StorageError } from '../registry/store.ts';

/** Reads a body front to back, as much of it as is wanted. */
export interface ByteReader {
  /** The next `length` bytes. Throws {@link StorageError} if the body breaks off before. */
  take(length: number): Promise<Uint8Array>;
  /** Passes over bytes. */
  skip(length: number): Promise<void>;
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
    end: async () => {
      // What has failed already says so where it was read.
      await reader.cancel().catch(() => undefined);
    },
  };
}

/** All bytes of a body whose length is known. Throws {@link StorageError}. */
export async function readAll(body: ReadableStream<Uint8Array>, length: number): Promise<Uint8Array> {
  const reader = readBytes(body);
  try {
    return await reader.take(length);
  } finally {
    await reader.end();
  }
}
