/** Looks a name up in a long list without reading all of it. */
import { buffer } from 'node:stream/consumers';
import { compareNames } from '../../registry/name.ts';
import { CorruptListError, decodeListHeader, decodeSpan, FIRST_READ, spanOf } from '../../registry/sorted-list.ts';
import type { ReadStore, StoredObject } from '../../registry/store.ts';

/** Whether a list object names it: two reads at most, unless the list changes in between. A list that is not there or cannot be read names nothing. */
export async function isListed(store: ReadStore, key: string, name: string): Promise<boolean> {
  for (;;) {
    const object = await store.get(key, { range: { offset: 0, length: FIRST_READ } });
    if (object === null || object === 'changed') return false;
    const first = await bytesOf(object);
    try {
      const header = decodeListHeader(first, object.metadata);
      const leaf = header.leaves.findLast((one) => compareNames(one.first, name) <= 0);
      if (leaf === undefined) return false;
      const { offset, length } = spanOf(header, [leaf], 'names');
      if (offset + length <= first.length) return decodeSpan(first.subarray(offset, offset + length)).includes(name);
      const part = await store.get(key, { range: { offset, length }, ifMatch: object.etag });
      if (part === 'changed') continue;
      return part !== null && decodeSpan(await bytesOf(part)).includes(name);
    } catch (error) {
      if (error instanceof CorruptListError) return false;
      throw error;
    }
  }
}

async function bytesOf({ body }: StoredObject): Promise<Uint8Array> {
  return buffer(body);
}
