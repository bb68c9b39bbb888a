/** Tags of a filled repository whose lifetime is over. */
import { tagKey } from '../../../src/registry/keys.ts';
import { decodeOriginMark, encodeOriginMark } from '../../../src/registry/origin-mark.ts';
import { nameOf, tagOf } from '../seed.ts';

/** Lets a stored tag be older than its lifetime, which is at most two minutes. */
export async function age(bucket: R2Bucket, name: string, tag: string): Promise<void> {
  await copyAged(bucket, name, tag, [tag]);
}

/** Stores a tag under other tags, too, all of them older than their lifetime. */
export async function copyAged(bucket: R2Bucket, name: string, tag: string, tags: readonly string[]): Promise<void> {
  const object = await bucket.get(tagKey(nameOf(name), tagOf(tag)));
  const mark = decodeOriginMark(object?.customMetadata ?? {});
  if (object === null || mark === null) throw new Error('the tag was not fetched');
  const customMetadata = { ...object.customMetadata, ...encodeOriginMark({ ...mark, checked: Date.now() - 120_000 }) };
  const bytes = await object.arrayBuffer();
  await Promise.all(tags.map((one) => bucket.put(tagKey(nameOf(name), tagOf(one)), bytes, { customMetadata })));
}
