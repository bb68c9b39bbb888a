import { beforeEach, describe, expect, test } from 'vitest';
import { lookAtTags, readTagEntries } from '../../../src/publisher/sync/published.ts';
import { tagKey, tagListKey } from '../../../src/registry/keys.ts';
import { encodeSortedList } from '../../../src/registry/sorted-list.ts';
import { Bucket, type Made, nameOf, tagOf, Writer } from '../gc-bucket.ts';

const NAME = nameOf('library/many');
const TAG = tagOf('v1');

let bucket: Bucket;
let writer: Writer;
let image: Made;
let asked: string[];

beforeEach(async () => {
  bucket = new Bucket();
  writer = new Writer(bucket, NAME);
  image = await writer.image('one');
  await writer.tag(TAG, [image, await writer.image('derived', { form: 'oci-manifest' })]);
  asked = [];
});

/** Looks the tag up with what it costs noted, after the list was written with that entry. */
async function lookUp(detail: unknown, tag = TAG): Promise<readonly string[] | null> {
  const { body, metadata } = encodeSortedList([{ name: TAG, detail }]);
  await bucket.put(tagListKey(NAME), body, { contentType: 'application/json', metadata });
  return lookUpAsItIs(tag);
}

async function lookUpAsItIs(tag = TAG): Promise<readonly string[] | null> {
  bucket.before = (operation) => void asked.push(operation);
  const found = await (await readTagEntries(bucket, NAME))(tag);
  return found === null ? null : [...found];
}

const etag = (): string => bucket.objects.get(tagKey(NAME, TAG))?.etag ?? '';

describe('what was published under the tags of a repository', () => {
  test('is what their objects say: published forms, and no derived ones', async () => {
    expect([...((await lookAtTags(bucket, NAME)(TAG)) ?? [])]).toEqual([image.digest]);
    expect(await lookAtTags(bucket, NAME)(tagOf('none'))).toBeNull();
  });

  test('is read from the list where its entry was made of the very object', async () => {
    expect(await lookUp({ etag: etag(), digests: [image.digest] })).toEqual([image.digest]);
    expect(asked.sort()).toEqual(['get', 'list']);
  });

  test.each<[string, () => unknown]>([
    ['was made of another object', () => ({ etag: 'another', digests: [] })],
    ['does not tell of what', () => ({ updated: '2026-01-01T00:00:00Z' })],
    ['is empty', () => null],
    ['has what is no digest', () => ({ etag: etag(), digests: ['sha256:no'] })],
  ])('is asked of the object where the entry %s', async (_, detail) => {
    expect(await lookUp(detail())).toEqual([image.digest]);
    expect(asked.sort()).toEqual(['get', 'head', 'list']);
  });

  test('is asked of the object where there is no list, or none that can be read', async () => {
    expect(await lookUpAsItIs()).toEqual([image.digest]);
    await bucket.put(tagListKey(NAME), new TextEncoder().encode('oops'), { contentType: 'application/json' });
    expect(await lookUpAsItIs()).toEqual([image.digest]);
  });

  test('is nothing where the tag is not there, whatever the list says', async () => {
    await bucket.delete([tagKey(NAME, TAG)]);
    expect(await lookUp({ etag: 'any', digests: [image.digest] })).toBeNull();
    expect(await lookUp(null, tagOf('none'))).toBeNull();
    expect(asked).not.toContain('head');
  });
});
