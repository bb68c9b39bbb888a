/** What a newer gantry wrote is not damage: an older one leaves it alone, and says so. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CATALOG_KEY, tagKey, tagListKey } from '../../src/registry/keys.ts';
import type { Digest } from '../../src/registry/digest.ts';
import type { SourceManifest } from '../../src/bucket/image-source.ts';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import type { SourceRepository } from '../../src/publisher/sources/source.ts';
import { ALL_TAGS } from '../../src/publisher/sync/select.ts';
import type { SyncReport } from '../../src/publisher/sync/outcome.ts';
import { sync } from '../../src/publisher/sync/sync.ts';
import { runGantry } from '../publisher/commands/command-line.ts';
import { type DirImage, writeDirImage } from '../publisher/dir-image.ts';
import { Bucket, digestOf, nameOf, tagOf } from '../publisher/gc-bucket.ts';

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

const folderOf = ({ source }: DirImage): string => source.replace(/^dir:/, '');
const digestOfRoot = ({ bytes }: SourceManifest): string => digestOf(bytes);

async function syncOf(source: SourceRepository, prune: 'none' | 'missing'): Promise<SyncReport> {
  const settings = {
    tags: ALL_TAGS,
    platforms: [],
    schema1: false,
    referrers: false,
    prune,
    recompress: undefined,
    mode: 'strict',
    verifySignature: undefined,
  } as const;
  return sync([{ kind: 'repository', from: 'source', to: NAME, source, settings }], {
    store: bucket,
    realms: [],
    publisher: () => createPublisher({ store: bucket, realms: [], signer: createSigner(newKey()) }),
    dryRun: false,
    full: false,
    pruneLimit: 1,
    onEvent: () => undefined,
  });
}

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
  it('keeps gc from deleting anything, which says why', async () => {
    const unneeded = `blobs/public/sha256/${'0'.repeat(64)}`;
    await bucket.put(unneeded, new Uint8Array(1), { contentType: 'application/octet-stream' });
    await makeNewer(key);
    const { code, stdout, stderr } = await run('gc', '--delete', '--grace', '0');
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(NEWER);
    expect(bucket.objects.has(unneeded)).toBe(true);
  });

  it('keeps rm from removing the tag, which says why', async () => {
    await makeNewer(key);
    const before = new Map(bucket.objects);
    const { code, stdout, stderr } = await run('rm', 'test/app:latest');
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(NEWER);
    expect(bucket.objects).toEqual(before);
  });

  it.each([
    ['that moved a tag', { tags: ['latest'], moved: true, prune: 'none' }],
    ['that pruned one', { tags: ['other'], moved: false, prune: 'missing' }],
  ] as const)('keeps sync %s from writing it, which says why', async (_title, { tags, moved, prune }) => {
    expect((await run('publish', image.source, 'test/app:other')).code).toBe(0);
    await makeNewer(key);
    const before = bucket.objects.get(tagKey(NAME, tagOf('latest')))?.etag;
    const source: SourceRepository = {
      title: 'source',
      name: NAME,
      tags: () => Promise.resolve({ tags: tags.map(tagOf) }),
      digests: async () =>
        (moved ? ['sha256:' + '0'.repeat(64)] : (await openDir(folderOf(image))).roots.map(digestOfRoot)) as Digest[],
      open: () => openDir(folderOf(moved ? other : image)),
      close: () => Promise.resolve(),
    };
    const report = await syncOf(source, prune);
    expect(JSON.stringify(report.repositories.map(({ failures }) => failures))).toMatch(NEWER);
    expect(bucket.objects.get(tagKey(NAME, tagOf('latest')))?.etag).toBe(before);
  });

  it.each([
    ['publish', (): string[] => ['publish', other.source, 'test/app:latest']],
    ['publish --replace', (): string[] => ['publish', other.source, 'test/app:latest', '--replace']],
    ['publish elsewhere', (): string[] => ['publish', other.source, 'test/new:latest']],
    ['verify --repair', (): string[] => ['verify', '--repair']],
  ])('is not overwritten by %s, which says why', async (command, args) => {
    const bytes = await makeNewer(key);
    const all = new Map(bucket.objects);
    const etag = bucket.objects.get(key)?.etag;
    const { code, stdout, stderr } = await run(...args());
    expect(bucket.objects.get(key)?.etag).toBe(etag);
    expect(bucket.objects.get(key)?.bytes).toEqual(bytes);
    // Elsewhere only the catalogue is in the way.
    if (command === 'publish elsewhere' && key !== CATALOG_KEY) return;
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(NEWER);
    expect(stdout).not.toContain('Publish the tag again');
    // Refused before anything is written: no tag that the list lacks.
    if (command !== 'verify --repair') expect(bucket.objects).toEqual(all);
  });
});
