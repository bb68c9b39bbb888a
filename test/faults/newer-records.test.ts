/** What a newer gantry wrote is not damage: an older one leaves it alone, and says so. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CATALOG_KEY, tagKey, tagListKey } from '../../src/registry/keys.ts';
import { runGantry } from '../publisher/commands/command-line.ts';
import { type DirImage, writeDirImage } from '../publisher/dir-image.ts';
import { Bucket, nameOf, tagOf } from '../publisher/gc-bucket.ts';

const NAME = nameOf('test/app');
const NEWER = /written by a newer gantry/;

let folder: string;
let image: DirImage;
let other: DirImage;
let bucket: Bucket;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-newer-'));
  image = await writeDirImage(join(folder, 'image'));
  other = await writeDirImage(join(folder, 'other'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  bucket = new Bucket();
  expect((await run('publish', image.source, 'test/app:latest')).code).toBe(0);
});

const run = (...args: string[]): ReturnType<typeof runGantry> =>
  runGantry(bucket, args, { GANTRY_KEY: join(folder, 'key.pem') });

/** The object as a newer version would have written it. */
async function makeNewer(key: string): Promise<Uint8Array> {
  const object = bucket.objects.get(key);
  const text = new TextDecoder().decode(object?.bytes);
  const metadata = Object.fromEntries(
    Object.entries(object?.metadata ?? {}).map(([name, value]) => [name, value.replace('"v":1', '"v":2')]),
  );
  const bytes = new TextEncoder().encode(text.replace('"version":1', '"version":2'));
  await bucket.put(key, bytes, { contentType: object?.contentType ?? 'application/json', metadata });
  return bytes;
}

describe.each([
  ['a tag object', tagKey(NAME, tagOf('latest'))],
  ['a tag list', tagListKey(NAME)],
  ['the catalogue', CATALOG_KEY],
])('%s of a newer version', (_, key) => {
  it.each([
    ['publish', (): string[] => ['publish', other.source, 'test/app:latest']],
    ['publish --replace', (): string[] => ['publish', other.source, 'test/app:latest', '--replace']],
    ['publish elsewhere', (): string[] => ['publish', other.source, 'test/new:latest']],
    ['verify --repair', (): string[] => ['verify', '--repair']],
  ])('is not overwritten by %s, which says why', async (command, args) => {
    const bytes = await makeNewer(key);
    const etag = bucket.objects.get(key)?.etag;
    const { code, stdout, stderr } = await run(...args());
    expect(bucket.objects.get(key)?.etag).toBe(etag);
    expect(bucket.objects.get(key)?.bytes).toEqual(bytes);
    // Elsewhere only the catalogue is in the way.
    if (command === 'publish elsewhere' && key !== CATALOG_KEY) return;
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(NEWER);
    expect(stdout).not.toContain('Publish the tag again');
  });
});
