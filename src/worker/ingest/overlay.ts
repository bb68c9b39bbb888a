import type { GetOptions, ObjectInfo, ReadStore, StoredObject } from '../../registry/store.ts';

/** An object in memory: just written, or what would have been written if storage had accepted it. */
export interface ObjectAtHand {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A store with one object of it replaced by the one in memory. */
export function overlay(store: ReadStore, object: ObjectAtHand): ReadStore {
  const { key, bytes, contentType, metadata } = object;
  const info: ObjectInfo = { key, size: bytes.length, etag: ETAG, contentType, metadata, uploaded: new Date() };
  return {
    head: (asked) => (asked === key ? Promise.resolve(info) : store.head(asked)),
    get: (asked, options = {}) =>
      asked === key ? Promise.resolve(read(info, bytes, options)) : store.get(asked, options),
  };
}

// Unlike any etag of storage.
const ETAG = 'at-hand';

function read(info: ObjectInfo, bytes: Uint8Array, { range, ifMatch }: GetOptions): StoredObject | 'changed' {
  if (ifMatch !== undefined && ifMatch !== info.etag) return 'changed';
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
