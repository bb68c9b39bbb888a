/**
 * `gantry sync` of a real Pulp 3: what it takes, what it asks (by the access log), and what follows changes in Pulp.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DockerRegistry, startDockerRegistry } from '../docker-registry.ts';
import { makeSource, type Source } from '../matrix/images.ts';
import { gantry, must, titleWith } from '../programs.ts';
import { API } from './administrator.ts';
import {
  addAccount,
  addPullThrough,
  addSynced,
  allowNamespace,
  allowRepositories,
  distribution,
  makePrivate,
  push,
  remove,
} from './content.ts';
import { missingForPulp } from './environment.ts';
import { ADMIN, type LoggedRequest, type Pulp, startPulp } from './pulp.ts';

const ROBOT = { username: 'robot', password: 'a-robot-that-syncs' };

const missing = await missingForPulp('docker-registry');

interface Result {
  readonly repositories: readonly {
    readonly from: string;
    readonly to?: string;
    readonly sameVersion?: true;
    readonly tags: Readonly<Record<string, readonly string[]>>;
    readonly failures: readonly { readonly message: string }[];
  }[];
}

describe.skipIf(missing.length > 0)(titleWith('gantry sync of a real Pulp 3', missing), () => {
  let folder: string;
  let pulp: Pulp;
  let peer: DockerRegistry;
  let image: Source;
  let other: Source;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-sync-'));
    pulp = await startPulp();
    image = await makeSource(join(folder, 'image'), 'schema2');
    other = await makeSource(join(folder, 'other'), 'oci');
    peer = await startDockerRegistry(join(folder, 'peer'));
    const copy = ['copy', '--quiet', '--dest-tls-verify=false'];
    await must('skopeo', [...copy, image.source, `docker://${peer.host}/library/app:1.0`]);
    await push(pulp, image.source, 'apps/one:1.0');
    await push(pulp, other.source, 'apps/two:1.0');
    await push(pulp, image.source, 'secret/app:1.0');
    await makePrivate(pulp, 'secret/app');
    await addSynced(pulp, 'apps/synced', { url: `http://${peer.host}`, name: 'library/app' });
    await addPullThrough(pulp, 'cache', `http://${peer.host}`);
    const creds = `${ADMIN.username}:${ADMIN.password}`;
    await must('skopeo', [
      ...['copy', '--quiet', '--src-tls-verify=false', '--src-creds', creds],
      ...[`docker://${pulp.host}/cache/library/app:1.0`, `dir:${join(folder, 'pulled')}`],
    ]);
    await writeFile(join(folder, 'wrangler.toml'), '[vars]\nREALMS = [{ pattern = "secret/*", realm = "staff" }]\n');
  }, 600_000);

  afterAll(async () => {
    await peer.close();
    await pulp.close();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  async function sync(more = '', account: { username: string; password: string } = ADMIN): Promise<Result> {
    await writeFile(
      join(folder, 'sync.yaml'),
      `repositories:\n  - from: pulp3+${pulp.url}\n    credentials: PULP\n    private-realm: staff\n    prune: missing\n${more}`,
    );
    const { stdout, stderr } = await gantry(
      ['sync', 'sync.yaml', '--json', '--config', 'wrangler.toml', '--state', 'state'],
      {
        cwd: folder,
        env: {
          ...process.env,
          HOME: folder,
          GANTRY_KEY: join(folder, 'key.pem'),
          PULP: `${account.username}:${account.password}`,
        },
      },
    );
    const last = stdout.trim().split('\n').at(-1) ?? '';
    if (!last.startsWith('{')) throw new Error(stderr);
    return JSON.parse(last) as Result;
  }

  const outcomes = ({ repositories }: Result): Record<string, string> =>
    Object.fromEntries(
      repositories.map(({ from, to = from, sameVersion, tags, failures }) => [
        to,
        sameVersion === true
          ? 'same version'
          : [
              ...failures.map(({ message }) => message),
              ...Object.entries(tags).flatMap(([what, of]) => (of.length === 0 ? [] : [`${what} ${of.join()}`])),
            ].join(),
      ]),
    );

  const during = async (work: () => Promise<unknown>): Promise<readonly LoggedRequest[]> => {
    const before = (await pulp.requests()).length;
    await work();
    return (await pulp.requests()).slice(before);
  };

  it('takes what was pushed, synced, pulled through and is private, under its names', async () => {
    expect(outcomes(await sync())).toEqual({
      'apps/one': 'new 1.0',
      'apps/two': 'new 1.0',
      'apps/synced': 'new 1.0',
      'secret/app': 'new 1.0',
      'cache/library/app': 'new 1.0',
    });
  });

  it('asks one question a distribution where nothing changed, and two for the lists', async () => {
    const requests = await during(sync);
    expect(
      requests.map(({ path, status }) => `${String(status)} ${path.replace(/[0-9a-f-]{36}|\?.*/g, '')}`).sort(),
    ).toEqual([
      `200 ${API}/distributions/container/container/`,
      `200 ${API}/distributions/container/pull-through/`,
      ...Array.from({ length: 5 }, () => `200 ${API}/repositories/container/container//`),
    ]);
  });

  it('publishes what was pushed since, and prunes what was deleted', async () => {
    await push(pulp, other.source, 'apps/one:2.0');
    expect(outcomes(await sync())).toMatchObject({ 'apps/one': 'new 2.0,unchanged 1.0', 'apps/two': 'same version' });
    await pulp.admin.change('POST', `${String((await distribution(pulp, 'apps/one')).repository)}untag/`, {
      tag: '1.0',
    });
    expect(outcomes(await sync())).toMatchObject({
      'apps/one': 'unchanged 2.0,pruned 1.0',
      'apps/two': 'same version',
    });
  });

  it('follows a new base path, and a deletion', async () => {
    const { pulp_href: href } = await distribution(pulp, 'apps/two');
    await pulp.admin.change('PATCH', href, { base_path: 'apps/renamed' });
    expect(outcomes(await sync())).toMatchObject({ 'apps/renamed': 'new 1.0', 'apps/two': 'pruned 1.0' });
    await remove(pulp, 'apps/renamed');
    const after = outcomes(await sync());
    expect(after).toMatchObject({ 'apps/renamed': 'pruned 1.0', 'apps/one': 'same version' });
  });

  it('refuses what became private and everybody could read', async () => {
    await makePrivate(pulp, 'apps/synced');
    expect(outcomes(await sync())['apps/synced']).toMatch(
      /is private at .* must be in the realm "staff"|would be public/,
    );
  });

  it('takes by an account what Pulp shows it: roles for the namespace and for repositories', async () => {
    await addAccount(pulp, ROBOT);
    await allowNamespace(pulp, 'apps', ROBOT);
    await allowRepositories(pulp, ROBOT);
    const result = await sync("    repositories: ['apps/*']\n    to: robot/*\n", ROBOT);
    expect(outcomes(result)['robot/apps/one']).toBe('new 2.0');
  });
});
