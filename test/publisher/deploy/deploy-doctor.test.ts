/**
 * `gantry deploy` from the preflight to the proof: the real Wrangler, a stand-in for Cloudflare's API, a deployed edge.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { expectDescribed } from '../../json-output.ts';
import { gantry, until } from '../../interop/programs.ts';
import { type CloudflareApi, startCloudflareApi } from './cloudflare-api.ts';
import { type DeployedEdge, IMAGE, PURGE_TOKEN, startDeployedEdge } from './deployed-edge.ts';

// Each test starts Wrangler several times, on machines that have other things to do.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

let home: string;
let config: string;
let edge: DeployedEdge;
let api: CloudflareApi;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'gantry-proof-'));
  config = join(home, 'wrangler.toml');
  const own = await readFile(new URL('../../../wrangler.toml', import.meta.url), 'utf8');
  const main = fileURLToPath(new URL('../../../src/worker/index.ts', import.meta.url));
  const domain = 'routes = [{ pattern = "registry.example.com", custom_domain = true }]';
  await writeFile(config, `${domain}\n${own.replace(/^main = .*$/m, `main = ${JSON.stringify(main)}`)}`);
  edge = await startDeployedEdge();
});

afterAll(async () => {
  await edge.close();
  await rm(home, { recursive: true, force: true });
});

beforeEach(async () => {
  await edge.forget();
  api = await startCloudflareApi();
  api.account.createBucket('gantry');
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('CLOUDFLARE_'));
  env = {
    ...Object.fromEntries(others),
    ...api.env,
    GANTRY_EDGE_URL: edge.worker.href,
    PURGE_TOKEN,
    HOME: home,
    WRANGLER_CACHE_DIR: join(home, 'cache'),
    XDG_CONFIG_HOME: join(home, 'config'),
    WRANGLER_SEND_METRICS: 'false',
    NO_COLOR: '1',
  };
  return () => api.close();
});

const deploy = (...args: readonly string[]): ReturnType<typeof gantry> =>
  gantry(['deploy', '--config', config, '--image', IMAGE, ...args], { env });

describe('gantry deploy ends with the result of doctor --deployed', () => {
  it('and tells what the deployment did to the cache', async () => {
    const running = deploy('--json');
    await until('the upload', () => Promise.resolve(api.account.workers.size > 0), 240_000);
    await edge.deploy();
    const { code, stdout } = await running;
    expectDescribed('deploy', stdout);
    const { deployed, doctor } = JSON.parse(stdout) as {
      deployed: boolean;
      doctor: { verdict: string; deployed: { id: string; outcome: string }[] };
    };
    expect([code, deployed, doctor.verdict]).toEqual([0, true, 'proved']);
    const outcomes = Object.fromEntries(doctor.deployed.map(({ id, outcome }) => [id, outcome]));
    expect(outcomes).toMatchObject({
      'cache-present': 'yes',
      'cache-hit': 'yes',
      'moved-tag': 'yes',
      'cache-kept': 'yes',
      'purge-versions': 'yes',
    });
  });

  it('in words, and as no failure where nothing can be reached yet', async () => {
    env.GANTRY_EDGE_URL = 'http://127.0.0.1:9';
    const { code, stdout } = await deploy();
    expect(stdout).toMatch(/of \d+ assumptions about Cloudflare/);
    expect(stdout).toContain('! deployed, but not examined: once DNS, certificate and an image are there');
    expect(code).toBe(0);
  });

  it('but not with --no-doctor', async () => {
    const { code, stdout } = await deploy('--no-doctor', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ deployed: true, doctor: null });
    expect(code).toBe(0);
  });
});
