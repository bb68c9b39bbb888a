/** `gantry prune`, and retention rules of a sync, over a bucket in memory. */
import { beforeEach, describe, expect, it } from 'vitest';
import { changeSettings } from '../../../src/bucket/format.ts';
import { readTagList } from '../../../src/publisher/commands/stored.ts';
import { CATALOG_KEY, tagKey } from '../../../src/registry/keys.ts';
import type { SourceRepository } from '../../../src/publisher/sources/source.ts';
import type { RetentionRule } from '../../../src/publisher/retention/rule.ts';
import type { RepositoryReport } from '../../../src/publisher/sync/outcome.ts';
import { DEFAULTS, type SyncSettings } from '../../../src/publisher/sync/settings.ts';
import { sync } from '../../../src/publisher/sync/sync.ts';
import { verify } from '../../../src/publisher/verify/verify.ts';
import { runGantry } from '../commands/command-line.ts';
import { Bucket, type Made, nameOf, tagOf, Writer } from '../gc-bucket.ts';

const DAY = 86_400_000;

let bucket: Bucket;

/** Writes a tag that moved so many days ago. */
async function tagAt(writer: Writer, tag: string, image: Made, age: number): Promise<void> {
  bucket.now = Date.now() - age * DAY;
  await writer.tag(tag, [image]);
}

/** Writes tags that moved so many days ago, each to an image of its own; with lists. */
async function write(name: string, ages: Readonly<Record<string, number>>): Promise<Map<string, Made>> {
  const writer = new Writer(bucket, name);
  const images = new Map<string, Made>();
  for (const [tag, age] of Object.entries(ages)) {
    const image = await writer.image(`${name}:${tag}`);
    await tagAt(writer, tag, image, age);
    images.set(tag, image);
  }
  await verify(bucket, { table: [], sample: 0, repair: true, jobs: 2 });
  return images;
}

const tagsOf = async (name: string): Promise<string[]> =>
  (await readTagList(bucket, nameOf(name))).map(({ tag }) => tag);

const prune = (...args: string[]): ReturnType<typeof runGantry> => runGantry(bucket, ['prune', ...args]);

beforeEach(async () => {
  bucket = new Bucket();
  await write('team/app', { latest: 300, 'pr-1': 200, 'pr-2': 100, 'pr-3': 50, v1: 400 });
  await write('other', { 'pr-1': 200 });
});

describe('gantry prune', () => {
  it.each([
    ['no condition', []],
    ['only tags', ['--tags', 'pr-*']],
    ['only a dry run', ['--dry-run']],
    ['nothing to keep', ['--keep', '0']],
    ['no number', ['--keep', 'ten']],
    ['no duration', ['--older-than', '90']],
    ['no age', ['--older-than', '0d']],
    ['an invalid repository', ['--keep', '1', '--repository', 'Team/*']],
    ['an empty glob', ['--keep', '1', '--tags', '']],
  ])('is wrong usage with %s', async (_title, args) => {
    const before = new Map(bucket.objects);
    expect((await prune(...args)).code).toBe(2);
    expect(bucket.objects).toEqual(before);
  });

  it('removes the tags for which every condition holds, with their entries in the lists', async () => {
    const { code, stdout } = await prune('--keep', '1', '--older-than', '90d', '--tags', 'pr-*');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^team\/app:pr-2 +moved /m);
    expect(await tagsOf('team/app')).toEqual(['latest', 'pr-3', 'v1']);
    // The one tag of the other repository is the newest there.
    expect(await tagsOf('other')).toEqual(['pr-1']);
    expect((await verify(bucket, { table: [], sample: 0, repair: false, jobs: 2 })).faults).toEqual([]);
  });

  it('removes nothing in a dry run, which says what it would remove', async () => {
    const before = new Map(bucket.objects);
    const { stdout, stderr } = await prune('--older-than', '90d', '--tags', 'pr-*', '--dry-run', '--json');
    expect(bucket.objects).toEqual(before);
    const { repositories } = JSON.parse(stdout) as { repositories: { name: string; pruned: { tag: string }[] }[] };
    expect(repositories.map(({ name, pruned }) => [name, pruned.map(({ tag }) => tag)])).toEqual([
      ['other', ['pr-1']],
      ['team/app', ['pr-2', 'pr-1']],
    ]);
    expect(stderr).toContain('3 tags would be removed');
  });

  it('is limited to repositories, and refuses one that is not there', async () => {
    expect((await prune('--older-than', '90d', '--repository', 'team/*')).code).toBe(0);
    expect(await tagsOf('team/app')).toEqual(['pr-3']);
    expect(await tagsOf('other')).toEqual(['pr-1']);
    const { code, stderr } = await prune('--older-than', '90d', '--repository', 'nobody');
    expect(code).toBe(1);
    expect(stderr).toContain('there is no repository nobody');
  });

  it('takes a repository without tags off the catalogue', async () => {
    await prune('--older-than', '1d', '--repository', 'other');
    expect(new TextDecoder().decode(bucket.objects.get(CATALOG_KEY)?.bytes)).not.toContain('other');
  });

  it('leaves immutable tags, which do not count for --keep', async () => {
    await changeSettings(bucket, () => ({ immutable: [{ tags: 'pr-3', repository: '*', allowForce: true }] }));
    const { stdout } = await prune('--keep', '1', '--tags', 'pr-*', '--repository', 'team/*');
    expect(await tagsOf('team/app')).toEqual(['latest', 'pr-2', 'pr-3', 'v1']);
    expect(stdout).not.toContain('pr-3');
    expect((await prune('--older-than', '1d', '--tags', 'pr-*')).stdout).toMatch(
      /team\/app:pr-3 +stays: it is immutable/,
    );
    expect(await tagsOf('team/app')).toContain('pr-3');
  });

  it('leaves a tag that moves while it is at work', async () => {
    const key = tagKey(nameOf('team/app'), tagOf('pr-1'));
    let isMoved = false;
    bucket.before = async (operation, at) => {
      if (operation !== 'head' || at !== key || isMoved) return;
      isMoved = true;
      const writer = new Writer(bucket, 'team/app');
      await tagAt(writer, 'pr-1', await writer.image('new'), 0);
    };
    const { stdout } = await prune('--older-than', '90d', '--tags', 'pr-*', '--repository', 'team/app', '--json');
    expect(stdout).not.toContain('pr-1');
    expect(await tagsOf('team/app')).toEqual(['latest', 'pr-1', 'pr-3', 'v1']);
  });

  it('reads the time from the tag object where the list does not know it', async () => {
    const writer = new Writer(bucket, 'team/app');
    await tagAt(writer, 'pr-9', await writer.image('9'), 91);
    expect((await prune('--older-than', '90d', '--tags', 'pr-9', '--json')).stdout).toContain('pr-9');
  });

  it('removes signatures of an image with its last tag', async () => {
    const images = await write('signed', { 'pr-1': 100, 'pr-2': 100, 'pr-3': 1 });
    const writer = new Writer(bucket, 'signed');
    const sig = (tag: string): string => `${images.get(tag)?.digest.replace(':', '-') ?? ''}.sig`;
    // pr-2 has another tag, and nobody signed pr-3.
    await tagAt(writer, 'stable', images.get('pr-2') ?? expect.fail(), 0);
    for (const tag of ['pr-1', 'pr-2']) await writer.tag(sig(tag), [await writer.image(`signature of ${tag}`)]);
    await prune('--older-than', '90d', '--tags', 'pr-*', '--repository', 'signed');
    expect((await tagsOf('signed')).sort()).toEqual(['pr-3', 'stable', sig('pr-2')].sort());
  });
});

describe('a sync with a retention rule', () => {
  async function syncOf(tags: readonly string[], settings: Partial<SyncSettings>): Promise<RepositoryReport> {
    const name = nameOf('team/app');
    const source: SourceRepository = {
      title: 'source',
      name,
      tags: () => Promise.resolve({ tags: tags.map(tagOf) }),
      digests: () => Promise.resolve([]),
      // Deleted at the source meanwhile: nothing is published.
      open: () => Promise.resolve(null),
      close: () => Promise.resolve(),
    };
    const own: SyncSettings = { ...DEFAULTS, referrers: false, ...settings };
    const { repositories } = await sync([{ kind: 'repository', from: 'source', to: name, source, settings: own }], {
      store: bucket,
      realms: [],
      publisher: () => Promise.reject(new Error('nothing is published here')),
      dryRun: false,
      full: false,
      pruneLimit: 0.5,
      onEvent: () => undefined,
    });
    return repositories[0] ?? expect.fail('no report');
  }

  const retention: RetentionRule = { tags: ['pr-*'], keep: undefined, olderThan: 90 * DAY };

  it('deletes old tags that are not synced any more', async () => {
    const { tags, failures } = await syncOf(['latest', 'v1'], { retention });
    expect([tags.pruned, failures]).toEqual([['pr-1', 'pr-2'], []]);
    expect(await tagsOf('team/app')).toEqual(['latest', 'pr-3', 'v1']);
  });

  it('deletes no tag that the next sync would bring again', async () => {
    const { tags } = await syncOf(['latest', 'pr-1', 'pr-2'], { retention });
    expect(tags.pruned).toEqual([]);
  });

  it('deletes beside what `prune` deletes at once', async () => {
    const { tags } = await syncOf(['latest', 'pr-1', 'pr-2', 'pr-3'], {
      prune: 'missing',
      tags: { ...DEFAULTS.tags, glob: ['latest', 'pr-2'] },
      retention,
    });
    expect(tags.pruned).toEqual(['pr-1', 'v1']);
  });

  it('deletes nothing where that is more than the limit', async () => {
    const { tags, failures } = await syncOf(['v2'], { retention: { ...retention, tags: [] } });
    expect(tags.pruned).toEqual([]);
    expect(failures[0]?.message).toMatch(/^4 of the 5 tags of team\/app would be pruned/);
  });

  it('leaves immutable tags without a word', async () => {
    await changeSettings(bucket, () => ({ immutable: [{ tags: 'pr-1', repository: '*', allowForce: true }] }));
    const { tags, warnings } = await syncOf(['latest', 'v1'], { retention });
    expect([tags.pruned, warnings]).toEqual([['pr-2'], []]);
  });
});
