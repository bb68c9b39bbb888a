/** What counts as a pull, and the SQL that counts pulls. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENTS } from '../../src/manifest/clients/known-clients.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../src/registry/name.ts';
import { dataPointOf, isPull, PULL_COLUMNS, type PullEvent } from '../../src/statistics/pull-event.ts';
import { firstDay, parseDatasetName, pullQuery, readPullCounts } from '../../src/statistics/pull-query.ts';
import { readPulls, sqlApiUrl } from '../../src/statistics/sql-api.ts';
import { openLocalEvents, queryLocalEvents } from '../../src/publisher/statistics/local-events.ts';
import { expectDescribed } from '../json-output.ts';
import { gantry } from '../interop/programs.ts';
import { type SqlApi, startSqlApi } from './analytics-engine.ts';

const NOW = new Date('2026-11-28T12:00:00Z');
const DOCKER = 'docker/28.5.2 go/go1.24.9';
const OLD = 'docker/1.9.1 go/go1.4.3';

const nameOf = (text: string): RepositoryName => parseRepositoryName(text) ?? expect.fail(text);
const tagOf = (text: string): Tag => parseTag(text) ?? expect.fail(text);
const event = (name: string, tag: string, more: Partial<PullEvent> = {}): PullEvent => ({
  name: nameOf(name),
  tag: tagOf(tag),
  form: 'oci-index',
  client: 'docker',
  reason: '',
  ...more,
});

describe('one pull is one event', () => {
  it.each([
    ['GET that is answered', 'GET', 200, 'skopeo/1.9.3', undefined, true],
    ['GET without a User-Agent', 'GET', 200, null, undefined, true],
    ['HEAD of Docker from 20.10 on, which goes on by digest', 'HEAD', 200, DOCKER, undefined, true],
    ['HEAD of containerd, which goes on by digest', 'HEAD', 200, 'containerd/2.1.9', undefined, true],
    ['HEAD of Docker on containerd’s image store', 'HEAD', 200, 'docker/28.0 containerd-client/2.0.0', undefined, true],
    ['HEAD of a Docker that pulls by GET', 'HEAD', 200, 'docker/19.03.15', undefined, false],
    ['HEAD of a tool that looks whether a tag moved', 'HEAD', 200, 'go-containerregistry', undefined, false],
    ['HEAD without a User-Agent', 'HEAD', 200, null, undefined, false],
    ['answer that the client has already', 'GET', 304, 'skopeo/1.9.3', undefined, false],
    ['refusal because the tag has no schema 1', 'GET', 404, OLD, 'schema1-not-published', true],
    ['refusal because the client cannot unpack zstd', 'GET', 404, OLD, 'zstd-layers', true],
    ['HEAD that is refused, after which Docker sends GET', 'HEAD', 404, DOCKER, 'form-not-published', false],
    ['unknown tag', 'GET', 404, DOCKER, 'tag-unknown', false],
    ['unknown name', 'GET', 404, DOCKER, 'name-unknown', false],
    ['request for a login', 'GET', 401, DOCKER, 'login-required', false],
    ['failure', 'GET', 503, DOCKER, 'storage-unavailable', false],
  ] as const)('%s', (_, method, status, userAgent, reason, expected) => {
    expect(isPull({ method, status, userAgent, reason: reason as never })).toBe(expected);
  });

  it('for each client of the table: by the method that its pull begins with', () => {
    for (const { id, userAgent, first } of CLIENTS) {
      if (userAgent === undefined) continue;
      expect(isPull({ method: first, status: 200, userAgent, reason: undefined }), id).toBe(true);
      // What comes after HEAD is by digest, which has no tag.
      expect(isPull({ method: 'HEAD', status: 200, userAgent, reason: undefined }), id).toBe(first === 'HEAD');
    }
  });

  it('has the name, tag, form, client and reason alone, within the limits for the longest names', () => {
    const long = event(`${'a'.repeat(127)}/${'b'.repeat(127)}`, 'v'.repeat(128));
    const { indexes, blobs } = dataPointOf(long);
    expect(Object.keys(PULL_COLUMNS)).toEqual(['name', 'tag', 'form', 'client', 'reason']);
    expect(blobs).toEqual([long.name, long.tag, 'oci-index', 'docker', '']);
    expect(indexes).toEqual([long.name.slice(0, 96)]);
  });
});

describe('the SQL', () => {
  const question = { name: null, tag: null, days: 7, by: ['client'], limit: 10 } as const;

  it('accounts for sampling, and begins with a whole day in UTC', () => {
    expect(pullQuery({ ...question, name: nameOf('a/b'), tag: tagOf('1.0') }, 'pulls', NOW)).toBe(
      "SELECT blob4 AS client, SUM(_sample_interval) AS pulls\nFROM pulls\nWHERE timestamp >= toDateTime('2026-11-22 00:00:00')" +
        " AND index1 = 'a/b' AND blob1 = 'a/b' AND blob2 = '1.0'\nGROUP BY client\nORDER BY pulls DESC\nLIMIT 10",
    );
    expect(firstDay(1, NOW)).toBe('2026-11-28');
  });

  it.each(["x'; DROP TABLE pulls; --", "a' OR '1'='1", 'a\\', 'a\nb', 'a b', 'a`b', 'a"b'])(
    'is never made of %j, whatever let it through',
    (text) => {
      expect(() => pullQuery({ ...question, name: text as RepositoryName }, 'pulls', NOW)).toThrow(RangeError);
      expect(() => pullQuery({ ...question, tag: text as Tag }, 'pulls', NOW)).toThrow(RangeError);
      expect(() => pullQuery(question, text, NOW)).toThrow(/not a valid name of a dataset/);
    },
  );

  it.each([0, 91, 1.5, Number.NaN])('is not made of %s days', (days) => {
    expect(() => pullQuery({ ...question, days }, 'pulls', NOW)).toThrow(RangeError);
  });

  it('takes the names of datasets that SQL takes without quotes', () => {
    expect(parseDatasetName('gantry_pulls')).toBe('gantry_pulls');
    expect(() => parseDatasetName('gantry-pulls')).toThrow(/"gantry-pulls" is not a valid name/);
  });

  it.each([null, {}, { data: 1 }, { data: [null] }, { data: [{ pulls: 'x', client: 'a' }] }, { data: [{ pulls: 1 }] }])(
    'has an answer that is checked: %j is none',
    (answer) => {
      expect(readPullCounts(answer, ['client'])).toBeNull();
    },
  );
});

describe('counting', () => {
  let folder: string;
  let api: SqlApi;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-stats-'));
    api = await startSqlApi(join(folder, 'api.sqlite'));
    const day = (ago: number): Date => new Date(Date.now() - ago * 86_400_000);
    api.add(dataPointOf(event('a/b', '1')), day(0), 1);
    api.add(dataPointOf(event('a/b', '1')), day(1), 10);
    api.add(dataPointOf(event('a/b', '2', { form: 'docker-schema1', client: 'docker before 1.10' })), day(1), 2);
    api.add(dataPointOf(event('a/b', '2', { form: '', reason: 'schema1-not-published' })), day(1), 1);
    api.add(dataPointOf(event('a/c', '1')), day(1), 1);
    api.add(dataPointOf(event('a/b', '1')), day(40), 500);
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true, force: true });
  });

  const read = (question: Partial<Parameters<typeof readPulls>[1]>, token = api.token): ReturnType<typeof readPulls> =>
    readPulls(
      { dataset: 'gantry_pulls', url: sqlApiUrl(api.account, api.url), token, fetch },
      { name: null, tag: null, days: 30, by: ['name'], limit: 10, ...question },
      { now: new Date(), signal: AbortSignal.timeout(10_000) },
    );

  it('multiplies sampled rows, and leaves out what is older', async () => {
    expect(await read({})).toEqual([
      { name: 'a/b', pulls: 14 },
      { name: 'a/c', pulls: 1 },
    ]);
    expect(await read({ name: nameOf('a/b'), tag: tagOf('1'), by: ['client', 'form'] })).toEqual([
      { client: 'docker', form: 'oci-index', pulls: 11 },
    ]);
    expect(await read({ name: nameOf('a/b'), tag: tagOf('1'), days: 90 })).toEqual([{ name: 'a/b', pulls: 511 }]);
  });

  it('says what a token that is refused needs', async () => {
    await expect(read({}, 'other')).rejects.toThrow(/refuses the token.*Account Analytics: Read/);
  });

  it('says that a host does not answer', async () => {
    const dead = { dataset: 'x', url: 'http://127.0.0.1:1/', token: 'x', fetch };
    const question = { name: null, tag: null, days: 1, by: ['name'], limit: 1 } as const;
    await expect(readPulls(dead, question, { now: NOW, signal: AbortSignal.timeout(10_000) })).rejects.toThrow(
      /does not answer/,
    );
  });

  it('by the command, at Cloudflare', async () => {
    const config = join(folder, 'wrangler.toml');
    await writeFile(config, '[[analytics_engine_datasets]]\nbinding = "PULLS"\ndataset = "gantry_pulls"\n');
    const env = {
      ...process.env,
      CLOUDFLARE_API_BASE_URL: api.url,
      CLOUDFLARE_ACCOUNT_ID: api.account,
      CLOUDFLARE_API_TOKEN: api.token,
    };
    const args = ['stats', 'a/b', '--from', 'cloudflare', '--config', config, '--days', '2'];
    const asText = await gantry(args, { env });
    expect(asText.stderr).toMatch(/13 pulls since/);
    expect(asText.stdout).toMatch(/\d{4}-\d\d-\d\d +2 +docker before 1\.10 +Docker schema 1 +2\n/);
    expect(asText.stdout).toMatch(/2 +docker +none \(schema1-not-published\) +1\n/);
    const { stdout } = await gantry([...args, '--json'], { env });
    expectDescribed('stats', stdout);
    expect(JSON.parse(stdout)).toMatchObject({ from: 'cloudflare', name: 'a/b', days: 2, complete: true });
    const refused = await gantry(args, { env: { ...env, CLOUDFLARE_API_TOKEN: 'other' } });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/Account Analytics: Read/) as string });
    const none = await gantry(args, { env: { ...env, CLOUDFLARE_API_TOKEN: '' } });
    expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching(/CLOUDFLARE_API_TOKEN is not set/) as string });
    await writeFile(config, 'name = "x"\n');
    expect(await gantry(args, { env })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/binding = "PULLS"/) as string,
    });
  });

  it('by the command, of the local registry', async () => {
    const state = join(folder, 'state');
    const none = await gantry(['stats', '--state', state]);
    expect(none).toMatchObject({ code: 0, stdout: '', stderr: expect.stringMatching(/No pull was counted/) as string });
    await expect(gantry(['stats', 'a/b@sha256:' + '0'.repeat(64)])).resolves.toMatchObject({ code: 2 });
    await expect(gantry(['stats', '--days', '91'])).resolves.toMatchObject({ code: 2 });
  });

  it('forgets what is older than three months, as Cloudflare does', () => {
    const file = join(folder, 'old.sqlite');
    const before = openLocalEvents(file);
    before.writeAt(dataPointOf(event('a/b', '1')), new Date(Date.now() - 91 * 86_400_000), 1);
    before.writeAt(dataPointOf(event('a/b', '2')), new Date(Date.now() - 89 * 86_400_000), 1);
    before.close();
    openLocalEvents(file).close();
    expect(queryLocalEvents(file, 'SELECT blob2 AS tag FROM gantry_pulls')).toMatchObject({ data: [{ tag: '2' }] });
  });
});
