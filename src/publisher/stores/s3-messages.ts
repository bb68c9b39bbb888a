/** An object's head, and its body across broken connections. */
import { type ByteRange, type ObjectInfo, StorageError } from '../../registry/store.ts';
import { freeNetworkBuffers } from '../streams/network-buffers.ts';
import type { ObjectAnswer, ObjectHead } from './s3/requests.ts';

/** The object info in a head. `size`: of the whole object, in bytes. */
export function infoOf(key: string, { etag, contentType, metadata, modified }: ObjectHead, size: number): ObjectInfo {
  return { key, size, etag, ...(contentType !== undefined && { contentType }), metadata, uploaded: modified };
}

/** The `Range` header of a range. */
export function rangeHeader(range: ByteRange | undefined): string | undefined {
  if (range === undefined) return undefined;
  if ('suffix' in range) return `bytes=-${String(range.suffix)}`;
  return `bytes=${String(range.offset)}-${range.length === undefined ? '' : String(range.offset + range.length - 1)}`;
}

/** How a body is read. Offset and length are in bytes. */
interface BodyReading {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
  readonly signal: AbortSignal | undefined;
  readonly resume: (at: number) => Promise<ObjectAnswer | null | 'changed'>;
}

/** The most broken connections in a row without a single byte in between. */
const BREAKS = 5;

/**
 * The bytes of a body. After a broken connection it resumes from the last byte, if the object is unchanged. Throws
 * {@link StorageError}.
 */
export async function* bytesOf(
  first: ObjectAnswer,
  { key, offset, length, signal, resume }: BodyReading,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  let idle = 0;
  for (let found = first; done < length;) {
    try {
      for await (const chunk of found.body) {
        const bytes = chunk as Uint8Array;
        freeNetworkBuffers(bytes.length);
        yield bytes;
        done += bytes.length;
        idle = 0;
      }
      if (done >= length) return;
      throw new Error('the body ended early');
    } catch (error) {
      signal?.throwIfAborted();
      idle += 1;
      if (idle > BREAKS)
        throw new StorageError('STORAGE_UNAVAILABLE', `reading ${key}: the connection breaks repeatedly`, {
          cause: error,
        });
      const again = await resume(offset + done);
      if (again === null || again === 'changed')
        throw new StorageError('STORAGE_UNAVAILABLE', `reading ${key}: the object was replaced while it was read`, {
          cause: error,
        });
      found = again;
    }
  }
}
