import type { ByteRange, ObjectInfo, ReadStore, StoredObject } from '../../registry/store.ts';

/** An object that is at hand: what was just written, or would have been if storage had taken it. */
export interface ObjectAtHand {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A store in which one object is as it is at hand, and all others are as they are. */
export function overlay(store: ReadStore, object: ObjectAtHand): ReadStore {
  const { key, bytes, contentType, metadata } = object;
  const info: ObjectInfo = { key, size: bytes.length, etag: ETAG, contentType, metadata, uploaded: new Date() };
  return {
    head: (asked) => (asked === key ? Promise.resolve(info) : store.head(asked)),
    get: (asked, options = {}) =>
      asked === key ? Promise.resolve(read(info, bytes, options.range)) : store.get(asked, options),
  };
}

// Never read by this version alone: nobody else knows it.
const ETAG = 'at-hand';

function read(info: ObjectInfo, bytes: Uint8Array, range: ByteRange | undefined): StoredObject {
  const offset =
    range === undefined
      ? 0
      : 'suffix' in range
        ? Math.max(0, bytes.length - range.suffix)
        : Math.min(range.offset, bytes.length);
  const length =
    range === undefined || 'suffix' in range
      ? bytes.length - offset
      : Math.min(range.length ?? bytes.length, bytes.length - offset);
  const part = bytes.subarray(offset, offset + length);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      if (part.length > 0) controller.enqueue(part);
      controller.close();
    },
  });
  return { ...info, range: { offset, length }, body };
}
