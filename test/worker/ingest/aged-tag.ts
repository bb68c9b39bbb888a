/** Tags of a filled repository whose lifetime is over. */
import { tagKey } from '../../../src/registry/keys.ts';
import { decodeOriginMark, encodeOriginMark } from '../../../src/registry/origin-mark.ts';
import { nameOf, tagOf } from '../seed.ts';

/** Lets a stored tag be older than its lifetime, which is at most two minutes. */
export async function age(bucket: R2Bucket, name: string, tag: string): Promise<void> {
  const key = tagKey(nameOf(name), tagOf(tag));
  const object = await bucket.get(key);
  const mark = decodeOriginMark(object?.customMetadata ?? {});
  if (object === null || mark === null) throw new Error('the tag was not fetched');
  const customMetadata = { ...object.customMetadata, ...encodeOriginMark({ ...mark, checked: Date.now() - 120_000 }) };
  await bucket.put(key, await object.arrayBuffer(), { customMetadata });
}
