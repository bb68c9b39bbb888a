/**
 * Publishers that meet at one tag, at every moment at which they can: the bucket lets the other go first ahead of a
 * write.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import { readStoredTag, readTagList } from '../../src/publisher/commands/stored.ts';
import { verify } from '../../src/publisher/verify/verify.ts';
import { type DirImage, writeDirImage } from './dir-image.ts';
import { Bucket, nameOf, tagOf } from './gc-bucket.ts';

const NAME = nameOf('test/race');
const signer = createSigner(newKey());

let folder: string;
let docker: DirImage;
let oci: DirImage;
let other: DirImage;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-race-'));
  const layers = [new Uint8Array([1]), new Uint8Array([2])];
  docker = await writeDirImage(join(folder, 'docker'), { layers });
  oci = await writeDirImage(join(folder, 'oci'), { layers, form: 'oci-manifest' });
  other = await writeDirImage(join(folder, 'other'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function publish(bucket: Bucket, image: DirImage, tag: string): Promise<void> {
  const publisher = await createPublisher({ store: bucket, realms: [], signer, wait: () => Promise.resolve() });
  await publisher.publish(await openDir(image.folder), { name: NAME, tag: tagOf(tag) });
}

/** How many writes a publish makes into an empty bucket. */
async function countWrites(image: DirImage): Promise<number> {
  const bucket = new Bucket();
  let writes = 0;
  bucket.before = (operation) => {
    if (operation === 'put') writes += 1;
  };
  await publish(bucket, image, 'v1');
  return writes;
}

/** Publishes `image`; ahead of its write number `at`, somebody else publishes `meanwhile`, whole. */
async function meet(
  image: DirImage,
  meanwhile: DirImage,
  at: number,
  tags: readonly [string, string] = ['v1', 'v1'],
): Promise<Bucket> {
  const bucket = new Bucket();
  let writes = 0;
  let met = false;
  bucket.before = async (operation) => {
    if (operation !== 'put' || met) return;
    writes += 1;
    if (writes < at) return;
    met = true;
    await publish(bucket, meanwhile, tags[1]);
  };
  await publish(bucket, image, tags[0]);
  expect(met).toBe(true);
  bucket.before = () => undefined;
  return bucket;
}

const faults = async (bucket: Bucket): Promise<readonly unknown[]> =>
  (await verify(bucket, { table: [], sample: 1, repair: false, jobs: 2 })).faults;
const publishedForms = async (bucket: Bucket): Promise<string[]> => {
  const { record } = await readStoredTag(bucket, NAME, tagOf('v1'));
  return record.forms.filter(({ source }) => source.kind === 'published').map(({ digest }) => digest);
};

describe('two publishers of one tag', () => {
  it('leave one of two images, whole, whenever they meet', async () => {
    const writes = await countWrites(docker);
    expect(writes).toBeGreaterThan(5);
    for (let at = 1; at <= writes; at += 1) {
      const bucket = await meet(docker, other, at);
      const forms = await publishedForms(bucket);
      expect(forms).toHaveLength(1);
      expect([docker.manifest.digest, other.manifest.digest]).toContain(forms[0]);
      expect(await faults(bucket)).toEqual([]);
    }
  });

  it('leave both forms of one image, whenever they meet', async () => {
    const writes = await countWrites(docker);
    for (let at = 1; at <= writes; at += 1) {
      const bucket = await meet(docker, oci, at);
      expect((await publishedForms(bucket)).sort()).toEqual([docker.manifest.digest, oci.manifest.digest].sort());
      expect(await faults(bucket)).toEqual([]);
    }
  });
});

describe('two publishers of one repository', () => {
  it('leave both tags, in the list too, whenever they meet', async () => {
    const writes = await countWrites(docker);
    for (let at = 1; at <= writes; at += 1) {
      const bucket = await meet(docker, other, at, ['v1', 'v2']);
      expect((await readTagList(bucket, NAME)).map(({ tag }) => tag)).toEqual(['v1', 'v2']);
      expect(await faults(bucket)).toEqual([]);
    }
  });
});
