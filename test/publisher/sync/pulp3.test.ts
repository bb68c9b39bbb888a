/** Syncing all of a Pulp 3: what is asked of it, what is published, and what follows when something leaves it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import { parseSyncConfig } from '../../../src/publisher/sync/config.ts';
import type { SyncReport } from '../../../src/publisher/sync/outcome.ts';
import { syncLines } from '../../../src/publisher/sync/report.ts';
import type { SyncOptions } from '../../../src/publisher/sync/run.ts';
import { openSyncSources } from '../../../src/publisher/sync/sources.ts';
import { sync } from '../../../src/publisher/sync/sync.ts';
import { blobKey, parseKey, tagKey, tagListKey } from '../../../src/registry/keys.ts';
import { parseRealmTable } from '../../../src/registry/realms.ts';
import { Bucket, digestOf, nameOf, tagOf } from '../gc-bucket.ts';
import { makeImage } from '../pulp-tree.ts';
import { ACCOUNT, type Pulp3Double, startPulp3Double } from './pulp3-double.ts';

const SIGNER = createSigner(newKey());
const REALMS = parseRealmTable([{ pattern: 'secret/*', realm: 'staff' }]);

let pulp: Pulp3Double;
let bucket: Bucket;

beforeAll(async () => {
  pulp = await startPulp3Double();
});

afterAll(() => pulp.close());

beforeEach(() => {
  bucket = new Bucket();
});

afterEach(() => {
  pulp.distributions.length = 0;
  pulp.caches.length = 0;
  pulp.log.length = 0;
  pulp.fault = () => undefined;
  pulp.seesPrivate = true;
});

const entry = (...more: readonly string[]): string =>
  [`  - from: pulp3+http://${pulp.host}`, '    credentials: PULP', ...more.map((line) => `    ${line}`)].join('\n');

async function run(
  entries: readonly string[] = [entry('prune: missing')],
  options: Partial<SyncOptions> = {},
  env: NodeJS.ProcessEnv = { PULP: ACCOUNT },
): Promise<SyncReport> {
  const sources = openSyncSources({ env: { HOME: '/nonexistent', ...env } });
  const realms = options.realms ?? REALMS;
  try {
    return await sync(await sources.jobs(parseSyncConfig(`repositories:\n${entries.join('\n')}`, 'sync.yaml')), {
      store: bucket,
      realms,
      publisher: () => createPublisher({ store: bucket, realms, signer: SIGNER }),
      dryRun: false,
      full: false,
      pruneLimit: 0.25,
      onEvent: () => undefined,
      ...options,
    });
  } finally {
    await sources.close();
  }
}

/** What the sync did to each repository: its name in the bucket → tags of each outcome. */
function outcomes({ repositories }: SyncReport): Record<string, string> {
  return Object.fromEntries(
    repositories.map(({ to, from, tags, sameVersion, failures }) => [
      to ?? from,
      sameVersion === true
        ? 'same version'
        : failures.length > 0
          ? failures.map(({ message }) => message).join()
          : Object.entries(tags)
              .flatMap(([what, of]) => (of.length === 0 ? [] : [`${what} ${of.join()}`]))
              .join(' '),
    ]),
  );
}

const has = (name: string, tag: string): boolean => bucket.objects.has(tagKey(nameOf(name), tagOf(tag)));

/** Fills Pulp with repositories of one tag. */
function fill(...paths: readonly string[]): void {
  for (const path of paths) pulp.push(pulp.add(path), '1', makeImage(path));
}

const named = (path: string): Pulp3Double['distributions'][number] => {
  const found = pulp.distributions.find(({ basePath }) => basePath === path);
  if (found === undefined) throw new Error(path);
  return found;
};

describe('a Pulp 3 that is synced', () => {
  test('gives all that it distributes, under the names that clients of Pulp use', async () => {
    fill('apps/one', 'apps/two', 'deep/er/three');
    expect(outcomes(await run())).toEqual({ 'apps/one': 'new 1', 'apps/two': 'new 1', 'deep/er/three': 'new 1' });
    expect(has('deep/er/three', '1')).toBe(true);
    expect(bucket.objects.get(tagListKey(nameOf('apps/one')))).toBeDefined();
  });

  test('costs one request a distribution where no version is another, beside those for the two lists', async () => {
    fill('apps/one', 'apps/two', 'apps/three');
    await run();
    const since = pulp.log.length;
    const report = await run();
    expect(new Set(Object.values(outcomes(report)))).toEqual(new Set(['same version']));
    const asked = pulp.log.slice(since).map((line) => line.replace(/\?.*/, ''));
    expect(asked.sort()).toEqual(
      [
        'GET /pulp/api/v3/distributions/container/container/',
        'GET /pulp/api/v3/distributions/container/pull-through/',
        ...pulp.distributions.map(({ repository }) => `GET ${String(repository)}`),
      ].sort(),
    );
    expect(syncLines(report, 200).join('\n')).toMatch(/apps\/one .*same version/);
  });

  test('costs nothing where a distribution serves one version of its own, and is read again when it serves another', async () => {
    fill('apps/one');
    const one = named('apps/one');
    one.pinned = `${String(one.repository)}versions/1/`;
    await run();
    const since = pulp.log.length;
    expect(outcomes(await run())).toEqual({ 'apps/one': 'same version' });
    expect(pulp.log.slice(since)).toHaveLength(2);
    pulp.push(one, '2', makeImage('two'));
    expect(outcomes(await run())).toEqual({ 'apps/one': 'same version' });
    one.pinned = `${String(one.repository)}versions/2/`;
    expect(outcomes(await run())).toEqual({ 'apps/one': 'new 2 unchanged 1' });
  });

  test('publishes what moved since the last version, and nothing else', async () => {
    fill('apps/one', 'apps/two');
    await run();
    pulp.push(named('apps/one'), '2', makeImage('another'));
    expect(outcomes(await run())).toEqual({ 'apps/one': 'new 2 unchanged 1', 'apps/two': 'same version' });
    pulp.push(named('apps/one'), '1', makeImage('moved'));
    expect(outcomes(await run())).toEqual({ 'apps/one': 'moved 1 unchanged 2', 'apps/two': 'same version' });
    named('apps/one').tags.delete('2');
    named('apps/one').version += 1;
    expect(outcomes(await run())).toEqual({ 'apps/one': 'unchanged 1 pruned 2', 'apps/two': 'same version' });
  });

  test.each<[string, () => Promise<unknown>, () => Promise<SyncReport>]>([
    ['settings are other ones', () => run(), () => run([entry('prune: missing', 'tags: ["1"]')])],
    [
      'the bucket lost the repository',
      async () => {
        await run();
        await bucket.delete([tagListKey(nameOf('apps/one')), tagKey(nameOf('apps/one'), tagOf('1'))]);
      },
      () => run(),
    ],
    [
      'the state cannot be read',
      async () => {
        await run();
        const key = bucket.keys().find((one) => parseKey(one)?.kind === 'sync-state') ?? '';
        await bucket.put(key, new TextEncoder().encode('oops'), { contentType: 'application/json' });
      },
      () => run(),
    ],
    ['everything is to be published again', () => run(), () => run(undefined, { full: true })],
    [
      'a tag failed the last time',
      async () => {
        pulp.fault = (path) => (path.includes('/blobs/') ? { status: 400, body: '{}' } : undefined);
        await run();
        pulp.fault = () => undefined;
      },
      () => run(),
    ],
    ['nothing was written the last time', () => run(undefined, { dryRun: true }), () => run()],
  ])('is compared tag by tag where %s', async (_, before, now) => {
    fill('apps/one');
    await before();
    expect(outcomes(await now())['apps/one']).toMatch(/^(new|unchanged) 1$/);
    expect(has('apps/one', '1')).toBe(true);
  });

  test('is read to its last page, and again where it changes meanwhile', async () => {
    for (let at = 0; at < 203; at += 1) pulp.add(`many/r${String(at)}`);
    let moves = 0;
    pulp.fault = () => {
      // A distribution goes after the first page was read: the second would lack one.
      const isSecond = pulp.log.at(-1)?.includes('offset=100') === true;
      if (isSecond && (moves += 1) === 1) pulp.remove(named('many/r0'));
      return undefined;
    };
    const report = await run([entry()]);
    expect(report.repositories).toHaveLength(202);
    expect(pulp.log.filter((line) => line.includes('container/container/?')).length).toBe(6);
  });

  test('takes the repositories that are selected, under other names, with settings of their own', async () => {
    fill('apps/one', 'apps/two', 'other/three');
    for (const tag of ['2', '3']) pulp.push(named('other/three'), tag, makeImage(tag));
    const report = await run([
      entry("repositories: ['apps/*']", 'to: mirror/*'),
      entry("repositories: ['other/*']", 'to: mirror/*', 'tags: { newest: 1 }'),
    ]);
    expect(outcomes(report)).toEqual({
      'mirror/apps/one': 'new 1',
      'mirror/apps/two': 'new 1',
      'mirror/other/three': 'new 3',
    });
    expect(pulp.log.filter((line) => line.includes('container/container/?'))).toHaveLength(1);
  });

  test('that has a distribution without a repository, or of a name that is none, goes on with the others', async () => {
    fill('apps/one');
    pulp.add('apps/empty', { isEmpty: true });
    pulp.add('Apps/Upper');
    const report = await run();
    expect(outcomes(report)).toMatchObject({ 'apps/one': 'new 1', 'apps/empty': '' });
    const text = syncLines(report, 300).join('\n');
    expect(text).toMatch(/apps\/empty serves nothing yet/);
    expect(text).toMatch(/"Apps\/Upper", which is not a valid repository name/);
  });
});

describe('private repositories of a Pulp 3', () => {
  test('go into the realm that the table has for them, and nowhere else', async () => {
    pulp.push(pulp.add('secret/app', { isPrivate: true }), '1', makeImage('secret'));
    pulp.push(pulp.add('apps/hidden', { isPrivate: true }), '1', makeImage('hidden'));
    const report = await run([entry('private-realm: staff')]);
    expect(outcomes(report)).toEqual({
      'secret/app': 'new 1',
      'apps/hidden': `apps/hidden is private at ${pulp.host}, and apps/hidden would be public here`,
    });
    expect(
      bucket.objects.has(blobKey(REALMS[0]?.realm ?? (undefined as never), digestOf(makeImage('secret').layer))),
    ).toBe(true);
    expect(has('apps/hidden', '1')).toBe(false);
    expect(report.repositories.find(({ to }) => to === 'apps/hidden')?.failures[0]?.hint).toContain(
      '{ pattern = "apps/hidden", realm = "staff" }',
    );
  });

  test('are refused in a realm other than the one that the entry names', async () => {
    pulp.push(pulp.add('secret/app', { isPrivate: true }), '1', makeImage('secret'));
    expect(outcomes(await run([entry('private-realm: board')]))).toEqual({
      'secret/app': `secret/app is private at ${pulp.host}: secret/app must be in the realm "board", and it is in "staff"`,
    });
  });

  test('are refused when they become private later, even if their version stays', async () => {
    fill('apps/one');
    await run();
    named('apps/one').isPrivate = true;
    expect(outcomes(await run())['apps/one']).toMatch(/apps\/one would be public here/);
  });

  test.each([true, false])('are those, too, that a private cache holds: real path in a label: %s', async (hasLabel) => {
    fill('cache/library/app');
    pulp.caches.push({ path: 'cache', isPrivate: true, hasLabel, distributions: [named('cache/library/app').href] });
    expect(outcomes(await run())['cache/library/app']).toMatch(/is private at/);
    for (const cache of pulp.caches) cache.isPrivate = false;
    expect(outcomes(await run())['cache/library/app']).toBe('new 1');
  });
});

describe('a repository that leaves a Pulp 3', () => {
  const four = ['apps/a', 'apps/b', 'apps/c', 'apps/d'];

  test('is deleted with its tags where that is wanted, once', async () => {
    fill(...four);
    await run();
    pulp.remove(named('apps/b'));
    const report = await run();
    expect(outcomes(report)).toMatchObject({ 'apps/a': 'same version', 'apps/b': 'pruned 1' });
    expect([has('apps/b', '1'), has('apps/a', '1')]).toEqual([false, true]);
    expect(outcomes(await run())).not.toHaveProperty('apps/b');
  });

  test('stays where nothing is pruned, and the report says so', async () => {
    fill(...four);
    await run([entry()]);
    pulp.remove(named('apps/b'));
    const report = await run([entry()]);
    expect(has('apps/b', '1')).toBe(true);
    expect(syncLines(report, 300).join('\n')).toMatch(/apps\/b is no longer at .*; its tags under apps\/b stay/);
  });

  test('is shown in a dry run, and stays', async () => {
    fill(...four);
    await run();
    pulp.remove(named('apps/b'));
    expect(outcomes(await run(undefined, { dryRun: true }))).toMatchObject({ 'apps/b': 'pruned 1' });
    expect(has('apps/b', '1')).toBe(true);
    expect(outcomes(await run())).toMatchObject({ 'apps/b': 'pruned 1' });
  });

  test('stays with all others if more left than the limit allows, as when the account lost a role', async () => {
    for (const path of four) pulp.push(pulp.add(`secret/${path}`, { isPrivate: true }), '1', makeImage(path));
    fill('apps/one');
    await run();
    pulp.seesPrivate = false;
    const report = await run();
    expect(outcomes(report)[pulp.host]).toMatch(
      /4 of the 5 repositories of .* are gone \(secret\/apps\/a, .*\), which is more than 25 percent, so nothing was pruned/,
    );
    expect(report.repositories.at(-1)?.failures[0]?.hint).toMatch(/--prune-limit 80%/);
    expect(has('secret/apps/a', '1')).toBe(true);
    pulp.seesPrivate = true;
    expect(new Set(Object.values(outcomes(await run())))).toEqual(new Set(['same version']));
  });

  test('is kept if the list lacked it and it is there all the same', async () => {
    fill(...four);
    await run();
    const gone = named('apps/b');
    pulp.remove(gone);
    pulp.fault = (path) => (path === gone.href ? { status: 200, body: '{}' } : undefined);
    const report = await run();
    expect(has('apps/b', '1')).toBe(true);
    expect(syncLines(report, 300).join('\n')).toMatch(/apps\/b was missing in the list of .* it is kept/);
  });

  test('under a new name is published there first, and then goes from the old one', async () => {
    fill(...four);
    await run();
    named('apps/b').basePath = 'apps/renamed';
    const report = await run();
    expect(report.repositories.map(({ to, tags }) => [to, tags.new.join(), tags.pruned.join()])).toEqual([
      ['apps/a', '', ''],
      ['apps/renamed', '1', ''],
      ['apps/c', '', ''],
      ['apps/d', '', ''],
      ['apps/b', '', '1'],
    ]);
    expect([has('apps/renamed', '1'), has('apps/b', '1')]).toEqual([true, false]);
    expect(new Set(Object.values(outcomes(await run())))).toEqual(new Set(['same version']));
  });

  test('under a new name keeps the old one while the new one fails, or too many are renamed', async () => {
    fill(...four);
    await run();
    for (const path of ['apps/b', 'apps/c']) named(path).basePath = `${path}-renamed`;
    expect(outcomes(await run())[pulp.host]).toMatch(/2 of the 4 repositories/);
    expect([has('apps/b', '1'), has('apps/b-renamed', '1')]).toEqual([true, true]);
    named('apps/c-renamed').basePath = 'apps/c';
    pulp.fault = (path) => (path.includes('renamed/tags') ? { status: 400, body: '{}' } : undefined);
    await run();
    expect(has('apps/b', '1')).toBe(true);
    pulp.fault = () => undefined;
    expect(outcomes(await run())).toMatchObject({ 'apps/b': 'pruned 1' });
    expect([has('apps/b', '1'), has('apps/c', '1')]).toEqual([false, true]);
  });

  test('and comes again under the same name as another distribution loses nothing', async () => {
    fill(...four);
    await run();
    pulp.remove(named('apps/b'));
    fill('apps/b');
    expect(outcomes(await run())).toMatchObject({ 'apps/b': 'unchanged 1' });
    expect(new Set(Object.values(outcomes(await run())))).toEqual(new Set(['same version']));
  });

  test('because it is not selected any more is deleted where that is wanted', async () => {
    fill(...four);
    await run([entry('prune: unselected')]);
    expect(outcomes(await run([entry('prune: missing', "repositories: ['!apps/d']")]))).not.toHaveProperty('apps/d');
    expect(outcomes(await run([entry('prune: unselected', "repositories: ['!apps/d']")]))).toMatchObject({
      'apps/d': 'pruned 1',
    });
    expect(has('apps/d', '1')).toBe(false);
  });
});

describe('an account, and a Pulp 3 that fails', () => {
  test.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ['is not set', {}, /the variable PULP is not set/],
    ['is no account', { PULP: 'secret' }, /the variable PULP is not USER:PASSWORD/],
    ['is a wrong one', { PULP: 'sync:wrong' }, /answered 401/],
  ])('is refused if the variable %s', async (_, env, message) => {
    fill('apps/one');
    const report = await run(undefined, {}, env);
    expect(report.repositories[0]?.failures[0]?.message).toMatch(message);
    expect(JSON.stringify(report)).not.toMatch(/secret|wrong/);
  });

  test.each<[string, { status: number; body: string }, RegExp]>([
    ['has no REST API', { status: 404, body: 'no' }, /is not the REST API of Pulp 3/],
    ['denies the account', { status: 403, body: '{"detail":"no"}' }, /answered 403/],
    ['answers with a page of HTML', { status: 200, body: '<html>' }, /did not answer with a JSON object/],
    ['answers with something else', { status: 200, body: '{"results":[{}]}' }, /did not answer with a page of a list/],
    [
      'lists what has no address',
      { status: 200, body: '{"count":1,"next":null,"results":[{"base_path":"a"}]}' },
      /answered without "pulp_href"/,
    ],
    [
      'leads to another host',
      {
        status: 200,
        body: '{"count":1,"next":null,"results":[{"pulp_href":"/a/","base_path":"a","private":false,"repository":"//other.example/"}]}',
      },
      /names an address on another host/,
    ],
    ['never ends its list', { status: 200, body: '{"count":9,"next":"x","results":[]}' }, /did not answer with a page/],
  ])('is told of where Pulp %s, and nothing is pruned', async (_, fault, message) => {
    fill('apps/one');
    await run();
    pulp.fault = (path) => (path.endsWith('container/container/') ? fault : undefined);
    const report = await run();
    expect(report.repositories.flatMap(({ failures }) => failures.map((one) => one.message)).join()).toMatch(message);
    expect(has('apps/one', '1')).toBe(true);
  });
});
