/** A list that cannot be known whole is no list, and nothing is pruned by it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type LocalServer, startServer } from '../../src/publisher/local/server.ts';
import { get, MODERN, reasonOf } from '../interop/origin-edge.ts';
import { gantry, missingPrograms, run, titleWith } from '../interop/programs.ts';
import { byRules, html, registryError } from './random.ts';
import { openStorage, type StorageBed } from './storage.ts';
import { startUpstreamBed, type UpstreamBed } from './upstream.ts';

const missing = missingPrograms('docker-registry', 'skopeo');
const TAGS = ['a', 'b', 'c', 'd', 'e'];

describe.skipIf(missing.length > 0)(titleWith('an edge whose upstream is down', missing), () => {
  let upstream: UpstreamBed;
  let server: LocalServer;
  let bed: StorageBed;
  let folder: string;
  let env: NodeJS.ProcessEnv;
  let runs = 0;

  beforeAll(async () => {
    upstream = await startUpstreamBed();
    for (const tag of TAGS) await upstream.push('short/app', tag);
    bed = await openStorage('R2 simulator');
    folder = await mkdtemp(join(tmpdir(), 'gantry-short-'));
    const rule = { name: 'short', pattern: 'short/*', upstream: upstream.proxy.url, lifetime: 1, stale: 0, timeout: 1 };
    server = await startServer({
      port: 0,
      state: join(folder, 'state'),
      vars: { LOG: 'failures', ORIGINS: JSON.stringify([rule]) },
    });
    env = { ...process.env, ...bed.env('direct'), GANTRY_KEY: join(folder, 'key.pem') };
    // One of the tags is stored, and so is a list of one.
    await get(`${server.url}/v2/short/app/manifests/a`, { headers: MODERN });
  }, 60_000);
  afterAll(async () => {
    await server.close();
    await upstream.close();
    await bed.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    more = '';
    upstream.proxy.fault = () => undefined;
  });

  let more = '';
  const sync = async (from: string, to: string, ...options: string[]): ReturnType<typeof gantry> => {
    const file = join(folder, `sync-${String((runs += 1))}.yaml`);
    await writeFile(
      file,
      `repositories:\n  - from: docker://${from}/short/app\n    to: ${to}\n    tls-verify: false\n    prune: missing\n${more}`,
    );
    return gantry(['sync', file, '--to', `s3://${bed.bucket}`, ...options], { env });
  };
  const tagsOf = async (name: string): Promise<readonly string[]> =>
    (await bed.reader().keys(`repositories/${name}/_tags/`)).map((key) => key.slice(key.lastIndexOf('/') + 1));

  it('answers 503 where only the upstream knows the list, and skopeo is not told of one tag', async () => {
    upstream.proxy.fault = () => registryError(500, 'UNKNOWN');
    const got = await get(`${server.url}/v2/short/app/tags/list`);
    expect([got.status, reasonOf(got)]).toEqual([503, 'upstream-unavailable']);
    const { code } = await run('skopeo', [
      'list-tags',
      '--tls-verify=false',
      '--retry-times',
      '0',
      `docker://${new URL(server.url).host}/short/app`,
    ]);
    expect(code).not.toBe(0);
  });

  it('prunes nothing by a list that came from a registry which gave a Warning', async () => {
    expect((await sync(upstream.proxy.host, 'mirror/warned')).code).toBe(0);
    upstream.proxy.fault = ({ path }) =>
      path.endsWith('/tags/list')
        ? {
            kind: 'answer',
            status: 200,
            headers: { 'content-type': 'application/json', warning: '110 other "Response is Stale"' },
            body: '{"name":"short/app","tags":["a"]}',
          }
        : undefined;
    const { code, stdout, stderr } = await sync(upstream.proxy.host, 'mirror/warned');
    expect(await tagsOf('mirror/warned')).toEqual(TAGS);
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/Warning/);
  });

  it('prunes nothing by a list that shrank by more than a share, unless told to', async () => {
    expect((await sync(upstream.proxy.host, 'mirror/shrunk')).code).toBe(0);
    upstream.proxy.fault = ({ path }) =>
      path.endsWith('/tags/list')
        ? {
            kind: 'answer',
            status: 200,
            headers: { 'content-type': 'application/json' },
            body: '{"name":"short/app","tags":["a"]}',
          }
        : undefined;
    const { code, stdout, stderr } = await sync(upstream.proxy.host, 'mirror/shrunk');
    expect(await tagsOf('mirror/shrunk')).toEqual(TAGS);
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('--prune-limit');
    expect((await sync(upstream.proxy.host, 'mirror/shrunk', '--prune-limit', '100%')).code).toBe(0);
    expect(await tagsOf('mirror/shrunk')).toEqual(['a']);
  });

  it.each(['registry', 'any'])(
    'prunes nothing by pages of HTML with status 404 instead of the list: missing: %s',
    async (rule) => {
      const to = `mirror/html-${rule}`;
      more = `    missing: ${rule}\n`;
      expect((await sync(upstream.proxy.host, to)).code).toBe(0);
      upstream.proxy.fault = byRules([{ path: /short\/app\/tags\/list/, fault: html(404) }]);
      const { code, stdout, stderr } = await sync(upstream.proxy.host, to, '--prune-limit', '100%');
      expect(await tagsOf(to)).toEqual(TAGS);
      expect(code).toBe(1);
      expect(stdout + stderr).toMatch(rule === 'any' ? /does not exist/ : /missing:\s+any/);
    },
  );

  it.each([
    ['registry', 'a failure', 1],
    ['any', 'the end of that tag at the source', 0],
  ])('takes HTML with status 404 for one tag, with missing: %s, for %s, and prunes nothing', async (rule, _, exit) => {
    const to = `mirror/html-tag-${rule}`;
    more = `    missing: ${rule}\n`;
    expect((await sync(upstream.proxy.host, to)).code).toBe(0);
    upstream.proxy.fault = byRules([{ path: /short\/app\/manifests\/a$/, fault: html(404) }]);
    const { code, stdout, stderr } = await sync(upstream.proxy.host, to, '--full', '--prune-limit', '100%');
    expect(code, stdout + stderr).toBe(exit);
    expect(await tagsOf(to)).toEqual(TAGS);
  });
});
