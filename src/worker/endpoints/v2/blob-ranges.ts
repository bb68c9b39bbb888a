/** Several ranges of a blob in one response: `multipart/byteranges` (RFC 9110, section 14.6). */
import { bytesReadAlong, type ContentRange, planReads } from '../../../http/range.ts';
import { MEDIA_TYPES } from '../../../registry/media-type.ts';
import { type ReadStore, StorageError } from '../../../registry/store.ts';
import { readBytes } from '../../../bucket/read-object.ts';
import { sizedStream } from '../../storage/sized-stream.ts';

/** Most reads of storage for one response. Each is billed; reading a gap along costs only time. */
const READS_MAX = 8;

/** Most bytes of gaps that are read along: a short request could make the Worker read a large blob. */
const READ_ALONG_MAX = 64 * 1024 * 1024;

/** Whether ranges are cheap enough for a multipart body. They must ascend. */
export function areAffordable(ranges: readonly ContentRange[]): boolean {
  return bytesReadAlong(ranges, planReads(ranges, READS_MAX)) <= READ_ALONG_MAX;
}

/** A multipart body. */
export interface Multipart {
  readonly contentType: string;
  /** Length of the body, in bytes. */
  readonly length: number;
  readonly body: ReadableStream<Uint8Array>;
}

/** Makes the body of a response with the ranges of an object. `ranges` must ascend, without overlaps. */
export function multipartOf(
  store: ReadStore,
  { key, etag, size }: { readonly key: string; readonly etag: string; readonly size: number },
  ranges: readonly ContentRange[],
): Multipart {
  const boundary = crypto.randomUUID();
  const encoder = new TextEncoder();
  const parts = ranges.map((range, index) => ({ range, head: encoder.encode(headOf(range, index)) }));
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);

  function headOf({ offset, length }: ContentRange, index: number): string {
    const last = offset + length - 1;
    return (
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\n` +
      `Content-Type: ${MEDIA_TYPES.octetStream}\r\n` +
      `Content-Range: bytes ${String(offset)}-${String(last)}/${String(size)}\r\n\r\n`
    );
  }

  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const read of planReads(ranges, READS_MAX)) {
      const object = await store.get(key, { range: read, ifMatch: etag });
      if (object === null || object === 'changed') {
        throw new StorageError('STORAGE_UNAVAILABLE', `the blob ${key} changed while it was read`);
      }
      const reader = readBytes(object.body);
      let at = read.offset;
      try {
        for (const { range, head } of parts) {
          if (range.offset < read.offset || range.offset >= read.offset + read.length) continue;
          yield head;
          await reader.skip(range.offset - at);
          yield* reader.pass(range.length);
          at = range.offset + range.length;
        }
      } finally {
        await reader.end();
      }
    }
    yield tail;
  }

  const length = parts.reduce((sum, { range, head }) => sum + head.length + range.length, tail.length);
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, body: sizedStream(chunks(), length) };
}
