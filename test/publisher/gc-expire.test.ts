/** Fetched tags that nobody has pulled for long. */
import { describe, expect, it } from 'vitest';
import { changeSettings } from '../../src/bucket/format.ts';
import { collect, type CollectReport } from '../../src/publisher/gc/collect.ts';
import { blobKey, tagKey } from '../../src/registry/keys.ts';
import { decodeOriginMark, encodeOriginMark } from '../../src/registry/origin-mark.ts';
import { titleOf } from '../attacks.ts';
import { Bucket, HOUR, type Made, tagOf, Writer } from './gc-bucket.ts';

const DAY = 24 * HOUR;

const gc = (bucket: Bucket, remove = true): Promise<CollectReport> =>
  collect(bucket, { table: [], grace: 0, remove, now: () => bucket.now, wait: () => Promise.resolve() });

/** A tag that was fetched, and expires at a time; without one, a tag that never expires. */
async function fetched(writer: Writer, tag: string, expires?: number): Promise<Made> {
  const { bucket, name } = writer;
  const image = await writer.image(tag);
  await writer.tag(tag, [image]);
  const object = bucket.objects.get(tagKey(name, tagOf(tag)));
  if (object === undefined) throw new Error('no tag');
  const mark = { origin: 'up', digest: image.digest, checked: bucket.now, gone: null, ...(expires && { expires }) };
  const metadata = { ...object.metadata, ...encodeOriginMark(mark) };
  await bucket.put(object.key, object.bytes, { contentType: 'application/octet-stream', metadata });
  return image;
}

function setup(): { bucket: Bucket; writer: Writer } {
  const bucket = new Bucket();
  return { bucket, writer: new Writer(bucket, 'hub/app') };
}

const markOf = ({ bucket, name }: Writer, tag: string) => {
  const object = bucket.objects.get(tagKey(name, tagOf(tag)));
  return { size: object?.size, mark: decodeOriginMark(object?.metadata ?? {}) };
};

describe('a fetched tag', () => {
  it(titleOf('bucket-filled'), async () => {
    const { bucket, writer } = setup();
    const old = await fetched(writer, 'old', bucket.now + 90 * DAY);
    const recent = await fetched(writer, 'recent', bucket.now + 91 * DAY);
    bucket.now += 90 * DAY;
    const report = await gc(bucket);
    expect(report.expired).toEqual([{ name: 'hub/app', tag: 'old' }]);
    expect([writer.state(old), writer.state(recent)]).toEqual(['none', 'all']);
    // The Worker finds that it was gone from the beginning of time, and asks the upstream.
    expect(markOf(writer, 'old')).toMatchObject({ size: 0, mark: { origin: 'up', checked: 0, gone: 0 } });
    expect((await gc(bucket)).expired).toEqual([]);
  });

  it('is kept where it is immutable: the upstream may have moved it', async () => {
    const { bucket, writer } = setup();
    await changeSettings(bucket, () => ({ immutable: [{ tags: 'v*', repository: 'hub/*', allowForce: true }] }));
    const [v1, other] = [await fetched(writer, 'v1', bucket.now), await fetched(writer, 'other', bucket.now)];
    bucket.now += DAY;
    expect((await gc(bucket)).expired).toEqual([{ name: 'hub/app', tag: 'other' }]);
    expect([writer.state(v1), writer.state(other)]).toEqual(['all', 'none']);
  });

  it('is kept before its time, and where its rule has none; published tags are always kept', async () => {
    const { bucket, writer } = setup();
    const images = [await fetched(writer, 'soon', bucket.now + DAY), await fetched(writer, 'never')];
    const published = await writer.image('published');
    await writer.tag('published', [published]);
    bucket.now += DAY - 1_000;
    expect((await gc(bucket)).expired).toEqual([]);
    bucket.now += 5_000 * DAY;
    expect((await gc(bucket)).expired).toEqual([{ name: 'hub/app', tag: 'soon' }]);
    expect([...images, published].map((image) => writer.state(image))).toEqual(['none', 'all', 'all']);
  });

  it('is only reported without --delete', async () => {
    const { bucket, writer } = setup();
    const old = await fetched(writer, 'old', bucket.now);
    const report = await gc(bucket, false);
    expect(report.expired).toHaveLength(1);
    expect(report.unreferenced.blob.objects).toBe(2);
    expect([writer.state(old), markOf(writer, 'old').mark?.checked]).toEqual(['all', bucket.now]);
  });

  it('is kept if it is pulled while gc runs', async () => {
    const { bucket, writer } = setup();
    const old = await fetched(writer, 'old', bucket.now);
    let isPulled = false;
    bucket.before = async (operation, key) => {
      if (isPulled || operation !== 'put' || !key.includes('/_tags/')) return;
      isPulled = true;
      await fetched(writer, 'old', bucket.now + DAY);
    };
    expect((await gc(bucket)).expired).toEqual([]);
    expect([isPulled, writer.state(old)]).toEqual([true, 'all']);
    expect(bucket.objects.has(blobKey(writer.realm, old.blobs[0] ?? old.digest))).toBe(true);
  });
});
