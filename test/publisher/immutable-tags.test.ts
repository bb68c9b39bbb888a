/** Immutable tags stay where they are, whichever command would move or delete them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { changeSettings } from '../../src/bucket/format.ts';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import type { SourceRepository } from '../../src/publisher/sources/source.ts';
import type { RepositoryReport } from '../../src/publisher/sync/outcome.ts';
import { DEFAULTS } from '../../src/publisher/sync/settings.ts';
import { sync } from '../../src/publisher/sync/sync.ts';
import { readStoredTag } from '../../src/publisher/commands/stored.ts';
import { FORMAT_KEY, tagKey } from '../../src/registry/keys.ts';
import { publishedDigests } from '../../src/registry/records.ts';
import { runGantry } from './commands/command-line.ts';
import { type DirImage, writeDirImage } from './dir-image.ts';
import { Bucket, nameOf, tagOf } from './gc-bucket.ts';

const NAME = nameOf('team/app');

let folder: string;
let image: DirImage;
let oci: DirImage;
let other: DirImage;
let bucket: Bucket;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-immutable-'));
  const layers = [new Uint8Array([1]), new Uint8Array([2])];
  image = await writeDirImage(join(folder, 'image'), { layers });
  oci = await writeDirImage(join(folder, 'oci'), { layers, form: 'oci-manifest' });
  other = await writeDirImage(join(folder, 'other'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  bucket = new Bucket();
});

const run = (...args: string[]): ReturnType<typeof runGantry> =>
  runGantry(bucket, args, { GANTRY_KEY: join(folder, 'key.pem') });

async function succeed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** What a tag points to. */
const digestsOf = async (tag: string): Promise<readonly string[]> =>
  publishedDigests((await readStoredTag(bucket, NAME, tagOf(tag))).record);

describe('gantry config', () => {
  it('sets, shows and removes rules, which are in the bucket', async () => {
    await succeed('config', 'set', 'immutable', 'v*', 'release-*', '--repository', 'team/*');
    await succeed('config', 'set', 'immutable', 'v*', '--allow-force');
    const rules = [
      { tags: 'v*', repository: 'team/*', allowForce: false },
      { tags: 'release-*', repository: 'team/*', allowForce: false },
      { tags: 'v*', repository: '*', allowForce: true },
    ];
    for (const args of [['list'], ['get', 'immutable']])
      expect(JSON.parse(await succeed('config', ...args, '--json'))).toEqual({ immutable: rules });
    expect(await succeed('config', 'list')).toMatch(/immutable +release-\* +team\/\*/);
    await succeed('config', 'unset', 'immutable', 'v*', '--repository', 'team/*');
    expect(JSON.parse(await succeed('config', 'list', '--json'))).toEqual({ immutable: rules.slice(1) });
    await succeed('config', 'unset', 'immutable', '--repository', 'team/*');
    expect(JSON.parse(await succeed('config', 'list', '--json'))).toEqual({ immutable: rules.slice(2) });
    await succeed('config', 'unset', 'immutable');
    expect(JSON.parse(await succeed('config', 'list', '--json'))).toEqual({ immutable: [] });
  });

  it('says which repositories a rule is for that it cannot remove', async () => {
    await succeed('config', 'set', 'immutable', 'v*', '--repository', 'team/*');
    const { code, stderr } = await run('config', 'unset', 'immutable', 'v*');
    expect(code).toBe(1);
    expect(stderr).toContain("--repository 'team/*'");
  });

  it.each([
    [['set', 'immutable', 'v[0-9]']],
    [['set', 'immutable']],
    [['set', 'immutable', 'v*', '--repository', 'Team/*']],
    [['set', 'frozen', 'v*']],
    [['get', 'frozen']],
  ])('refuses %j as wrong usage', async (args) => {
    expect((await run('config', ...args)).code).toBe(2);
    expect(bucket.objects.has(FORMAT_KEY)).toBe(false);
  });
});

describe('an immutable tag', () => {
  beforeEach(async () => {
    await succeed('config', 'set', 'immutable', 'v*', '--repository', 'team/*');
    await succeed('publish', image.source, 'team/app:v1');
  });

  it('is published once; the same image again is no move', async () => {
    expect(await succeed('publish', image.source, 'team/app:v1')).toContain('unchanged');
    expect(await digestsOf('v1')).toEqual([image.manifest.digest]);
  });

  it.each([
    ['another image', () => [other.source]],
    ['another image, forced, which the rule does not allow', () => [other.source, '--force']],
    ['another image in a plan', () => [other.source, '--dry-run']],
    ['another form of the image', () => [oci.source]],
    ['another form in its place', () => [oci.source, '--replace']],
  ])('is not moved to %s, and nothing is written', async (_title, args) => {
    const before = new Map(bucket.objects);
    const [source = '', ...options] = args();
    const { code, stderr } = await run('publish', source, 'team/app:v1', ...options);
    expect(code).toBe(1);
    expect(stderr).toContain('team/app:v1 is immutable by the rule v* of team/*');
    expect(stderr).toContain("gantry config unset immutable 'v*' --repository 'team/*'");
    expect(bucket.objects).toEqual(before);
  });

  it('does not keep other tags and repositories from moving', async () => {
    for (const name of ['team/app:latest', 'other/app:v1'])
      for (const { source } of [image, other]) await succeed('publish', source, name);
  });

  it.each([[['team/app:v1']], [['team/app']], [['team/app', '--dry-run']], [['team/app:v1', '--force']]])(
    'is not removed by rm %j, nor is a tag beside it',
    async (args) => {
      await succeed('publish', image.source, 'team/app:latest');
      const before = new Map(bucket.objects);
      const { code, stderr } = await run('rm', ...args);
      expect(code).toBe(1);
      expect(stderr).toContain('team/app:v1 is immutable by the rule v* of team/*, and cannot be deleted');
      expect(bucket.objects).toEqual(before);
    },
  );

  it('moves and is removed with --force where its rule allows that', async () => {
    await succeed('config', 'set', 'immutable', 'v*', '--repository', 'team/*', '--allow-force');
    expect((await run('publish', other.source, 'team/app:v1')).stderr).toContain('gantry publish --force');
    await succeed('publish', other.source, 'team/app:v1', '--force');
    expect(await digestsOf('v1')).toEqual([other.manifest.digest]);
    expect((await run('rm', 'team/app:v1')).stderr).toContain('gantry rm --force');
    await succeed('rm', 'team/app:v1', '--force');
    expect(bucket.objects.has(tagKey(NAME, tagOf('v1')))).toBe(false);
  });

  it('can be published again where its object is damaged: nobody can pull it', async () => {
    const key = tagKey(NAME, tagOf('v1'));
    await bucket.put(key, new Uint8Array(3), { contentType: 'application/octet-stream' });
    await succeed('publish', other.source, 'team/app:v1');
    expect(await digestsOf('v1')).toEqual([other.manifest.digest]);
  });
});

describe('a sync', () => {
  const settings = { ...DEFAULTS, schema1: false, referrers: false };

  /** Syncs a source that has the image under these tags. */
  async function syncOf(one: DirImage, tags: readonly string[], prune: 'none' | 'missing'): Promise<RepositoryReport> {
    const source: SourceRepository = {
      title: 'source',
      name: NAME,
      tags: () => Promise.resolve({ tags: tags.map(tagOf) }),
      digests: () => Promise.resolve([one.manifest.digest]),
      open: () => openDir(one.folder),
      close: () => Promise.resolve(),
    };
    const job = { kind: 'repository', from: 'source', to: NAME, source, settings: { ...settings, prune } } as const;
    const { repositories } = await sync([job], {
      store: bucket,
      realms: [],
      publisher: () => createPublisher({ store: bucket, realms: [], signer: createSigner(newKey()) }),
      dryRun: false,
      full: false,
      pruneLimit: 1,
      onEvent: () => undefined,
    });
    return repositories[0] ?? expect.fail('no report');
  }

  beforeEach(async () => {
    await succeed('config', 'set', 'immutable', 'v*');
    await syncOf(image, ['v1', 'latest'], 'none');
  });

  it('reports an immutable tag that the source moved as a failure, and moves the others', async () => {
    const { tags, failures } = await syncOf(other, ['v1', 'latest'], 'none');
    expect([tags.moved, tags.failed]).toEqual([['latest'], ['v1']]);
    expect(failures.map(({ tag }) => tag)).toEqual(['v1']);
    expect(failures[0]?.hint).toContain('gantry config unset');
    expect(await digestsOf('v1')).toEqual([image.manifest.digest]);
  });

  it('keeps one that the source has no more, with a warning', async () => {
    const { tags, warnings, failures } = await syncOf(image, ['v2'], 'missing');
    expect([tags.pruned, failures]).toEqual([['latest'], []]);
    expect(warnings).toEqual(['team/app:v1 would be pruned, but stays: it is immutable']);
    expect(await digestsOf('v1')).toEqual([image.manifest.digest]);
  });
});

describe('two publishers of one new immutable tag', () => {
  const signer = createSigner(newKey());
  const publish = async (one: DirImage): Promise<unknown> => {
    const publisher = await createPublisher({ store: bucket, realms: [], signer, wait: () => Promise.resolve() });
    return publisher.publish(await openDir(one.folder), { name: NAME, tag: tagOf('v1') });
  };

  /** Publishes `first`; right before the conditional write of its tag object, `second` is published. */
  async function meet(first: DirImage, second: DirImage): Promise<unknown> {
    await changeSettings(bucket, () => ({ immutable: [{ tags: 'v*', repository: '*', allowForce: false }] }));
    let met = false;
    bucket.before = async (operation, key) => {
      if (operation !== 'put' || met || key !== tagKey(NAME, tagOf('v1'))) return;
      met = true;
      await publish(second);
    };
    return publish(first);
  }

  it('leave it where the first write puts it, and the second publisher is refused', async () => {
    await expect(meet(image, other)).rejects.toMatchObject({ name: 'ImmutableTagError' });
    expect(await digestsOf('v1')).toEqual([other.manifest.digest]);
  });

  it('both succeed with the same image', async () => {
    expect(await meet(image, image)).toMatchObject({ change: 'unchanged' });
    expect(await digestsOf('v1')).toEqual([image.manifest.digest]);
  });
});
