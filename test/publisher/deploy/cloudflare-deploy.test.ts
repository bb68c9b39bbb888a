/** `gantry deploy` with the real Wrangler, against a stand-in for Cloudflare's API: what is sent, and what is said. */
import { createRequire } from 'node:module';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'smol-toml';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Finished, gantry, run } from '../../interop/programs.ts';
import type { Version } from './cloudflare-account.ts';
import { type CloudflareApi, startCloudflareApi } from './cloudflare-api.ts';

// Each test starts Wrangler several times, on machines that have other things to do.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

const OWN = fileURLToPath(new URL('../../../wrangler.toml', import.meta.url));
const WRANGLER = join(dirname(createRequire(import.meta.url).resolve('wrangler/package.json')), 'bin/wrangler.js');
const DOMAIN = 'routes = [{ pattern = "registry.example.com", custom_domain = true }]';

/** The bindings of the delivered wrangler.toml, as Cloudflare's API writes them. */
const BINDINGS = [
  { name: 'BUCKET', type: 'r2_bucket', bucket_name: 'gantry' },
  { name: 'FILL_LIMITER', type: 'ratelimit', namespace_id: '1002', simple: { limit: 600, period: 60 } },
  { name: 'VERSION', type: 'version_metadata' },
];

interface Report {
  readonly points: readonly { readonly kind: string; readonly what: string; readonly todo?: string }[];
}

let home: string;
let config: string;
let api: CloudflareApi;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'gantry-cloudflare-'));
  config = join(home, 'wrangler.toml');
});

afterAll(() => rm(home, { recursive: true, force: true }));

beforeEach(async () => {
  api = await startCloudflareApi();
  api.account.createBucket('gantry');
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('CLOUDFLARE_'));
  environment = {
    ...Object.fromEntries(others),
    ...api.env,
    HOME: home,
    WRANGLER_CACHE_DIR: join(home, 'cache'),
    // No request may leave this machine: whatever looks at the deployed registry finds nothing there.
    GANTRY_EDGE_URL: 'http://127.0.0.1:9',
    XDG_CONFIG_HOME: join(home, 'config'),
    WRANGLER_SEND_METRICS: 'false',
    NO_COLOR: '1',
  };
  await configure(DOMAIN);
});

afterEach(() => api.close());

/** Writes the delivered wrangler.toml with more at its top and its end. */
async function configure(top: string, end = ''): Promise<void> {
  const own = await readFile(OWN, 'utf8');
  const main = fileURLToPath(new URL('../../../src/worker/index.ts', import.meta.url));
  await writeFile(config, `${top}\n${own.replace(/^main = .*$/m, `main = ${JSON.stringify(main)}`)}\n${end}`);
}

const deploy = (...args: readonly string[]): Promise<Finished> =>
  gantry(['deploy', '--config', config, ...args], { env: environment });
const wrangler = (args: readonly string[], input?: string): Promise<Finished> =>
  run(process.execPath, [WRANGLER, ...args, '--config', config], {
    env: environment,
    ...(input === undefined ? {} : { input: Buffer.from(input) }),
  });

/** What a report says is to be done about its points of this kind. */
function adviceOf({ stdout }: Finished, kind: string): readonly (string | undefined)[] {
  const { points } = JSON.parse(stdout) as Report;
  return points.filter((point) => point.kind === kind).map(({ todo }) => todo);
}

/** The requests that change something. */
function writesOf(requests: readonly string[]): readonly string[] {
  return requests.filter((line) => !line.startsWith('GET') && line !== 'POST /graphql');
}

/** An upload in a form that can be compared: all but IDs. */
function uploadOf({ metadata, modules }: Version): unknown {
  return { metadata, modules: [...modules].map(([name, { type, bytes }]) => [name, type, bytes.toString('base64')]) };
}

describe('gantry deploy', () => {
  it('stops where REALMS is empty and the record of the bucket has protected realms', async () => {
    api.account.objects.set('gantry/gantry.json', '{"version":1,"realms":["team"]}\n');
    const report = await deploy('--json');
    expect(adviceOf(report, 'missing')).toEqual([expect.stringMatching(/^Restore the rules in REALMS\./)]);
    expect(report.code).toBe(1);
    expect([writesOf(api.requests), api.unknown]).toEqual([[], []]);
  });

  it('tells the Worker where its pull statistics are, if they are switched on', async () => {
    const dataset = '[[analytics_engine_datasets]]\nbinding = "PULLS"\ndataset = "gantry_pulls"\n[vars]\nLOG = "all"';
    await configure(DOMAIN, dataset);
    const report = await deploy('--json');
    expect(report).toMatchObject({ code: 0 });
    expect(adviceOf(report, 'advice').join('\n')).toContain('wrangler secret put ANALYTICS_TOKEN');
    expect(api.account.deployed('gantry').metadata.bindings).toEqual(
      expect.arrayContaining([
        ...BINDINGS,
        { name: 'PULLS', type: 'analytics_engine', dataset: 'gantry_pulls' },
        { name: 'LOG', type: 'plain_text', text: 'all' },
        { name: 'PULLS_DATASET', type: 'plain_text', text: 'gantry_pulls' },
        { name: 'PULLS_ACCOUNT', type: 'plain_text', text: api.account.id },
      ]),
    );
  });

  it('leads an empty account to a deployment by the commands that it names, and deploys again over it', async () => {
    const toml = parse(await readFile(OWN, 'utf8')) as Readonly<Record<string, unknown>>;
    api.account.buckets.clear();
    expect(adviceOf(await deploy('--json'), 'missing')).toEqual([
      'Run `npx wrangler r2 bucket create gantry`, or name another one in wrangler.toml.',
    ]);
    expect(api.account.workers.size).toBe(0);
    expect(await wrangler(['r2', 'bucket', 'create', 'gantry'])).toMatchObject({ code: 0 });

    const first = await deploy('--json');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const { metadata, modules } = api.account.deployed('gantry');
    // Exact: nothing is sent that the file does not say, but what Wrangler always sends.
    expect(metadata).toEqual({
      main_module: 'index.js',
      bindings: BINDINGS,
      compatibility_date: toml.compatibility_date,
      compatibility_flags: toml.compatibility_flags,
      observability: toml.observability,
      cache_options: toml.cache,
      exports: toml.exports,
      keep_bindings: ['secret_text', 'secret_key'],
      code_update_strategy: expect.anything() as unknown,
    });
    expect([...modules].map(([name, { type }]) => [name, type])).toEqual([
      ['index.js', 'application/javascript+module'],
      ['index.js.map', 'application/source-map'],
    ]);
    expect(api.account.worker('gantry').subdomain).toEqual({ enabled: false, previews_enabled: false });
    expect([...api.account.domains.values()]).toEqual([{ hostname: 'registry.example.com', service: 'gantry' }]);

    expect(adviceOf(first, 'advice')).toContain('Run `npx wrangler secret put PURGE_TOKEN`.');
    expect(await wrangler(['secret', 'put', 'PURGE_TOKEN'], 'a secret')).toMatchObject({ code: 0 });
    const second = await deploy('--json');
    expect(second).toMatchObject({ code: 0 });
    expect(adviceOf(second, 'advice')).toEqual([]);
    // Wrangler sends a Worker that exists by another endpoint; it must say the same.
    expect(api.requests).toContain('POST A/workers/scripts/gantry/versions');
    const again = api.account.deployed('gantry');
    expect(again.metadata).toEqual({ ...metadata, code_update_strategy: undefined });
    expect(api.account.worker('gantry').settings.observability).toEqual(toml.observability);
    expect(again.bindings.map(({ name }) => name)).toEqual([...BINDINGS.map(({ name }) => name), 'PURGE_TOKEN']);
    expect(api.unknown).toEqual([]);
  });

  it('deploys the same as npx wrangler deploy, to the account that it named', async () => {
    api.account.dnsRecords.add('registry.example.com');
    // Wrangler keeps the account of the last login, and would use it.
    const cache = join(home, 'cache');
    const other = { account: { id: 'f'.repeat(32), name: 'Other' } };
    await mkdir(cache, { recursive: true });
    await writeFile(join(cache, 'wrangler-account.json'), JSON.stringify(other));
    const report = await deploy('--json');
    expect(report).toMatchObject({ code: 0 });
    expect(adviceOf(report, 'advice')).toContain(
      'Wrangler does not ask when it runs without a terminal. Check the name for typing errors.',
    );
    expect(api.account.dnsRecords.size).toBe(0);
    const own = uploadOf(api.account.deployed('gantry'));
    const requests = writesOf(api.requests);

    api.account.workers.clear();
    api.account.domains.clear();
    api.requests.length = 0;
    await rm(cache, { recursive: true });
    expect(await wrangler(['deploy'])).toMatchObject({ code: 0 });
    expect(uploadOf(api.account.deployed('gantry'))).toEqual(own);
    expect(writesOf(api.requests)).toEqual(requests);
  });

  it('sends variables, limits, a jurisdiction and zone routes', async () => {
    api.account.createBucket('gantry-eu', 'eu');
    await configure(
      'routes = [{ pattern = "registry.example.com/*", zone_name = "example.com" }]',
      '[limits]\ncpu_ms = 300_000\n[vars]\nLOG = "failures"\n[[vars.REALMS]]\npattern = "team/*"\nrealm = "public"\n',
    );
    const file = await readFile(config, 'utf8');
    await writeFile(config, file.replace('bucket_name = "gantry"', 'bucket_name = "gantry-eu"\njurisdiction = "eu"'));
    expect(await deploy('--json')).toMatchObject({ code: 0, stderr: '' });
    const { metadata } = api.account.deployed('gantry');
    expect(metadata.limits).toEqual({ cpu_ms: 300_000 });
    expect(metadata.bindings?.slice(0, 3)).toEqual([
      { name: 'LOG', type: 'plain_text', text: 'failures' },
      { name: 'REALMS', type: 'json', json: [{ pattern: 'team/*', realm: 'public' }] },
      { name: 'BUCKET', type: 'r2_bucket', bucket_name: 'gantry-eu', jurisdiction: 'eu' },
    ]);
    expect(api.account.worker('gantry').routes).toMatchObject([{ pattern: 'registry.example.com/*' }]);
    expect(api.unknown).toEqual([]);
  });
});

describe('where Cloudflare refuses, gantry deploy says what to do', () => {
  it.each<[string, () => void, RegExp]>([
    [
      'a token',
      () => {
        environment.CLOUDFLARE_API_TOKEN = 'expired';
      },
      /✗ Cloudflare refuses the login, or it lacks a permission \(Cloudflare answers: .*\[code: \d+\]\)\n {2}Make an API token/,
    ],
    [
      'R2, which is not switched on',
      () => {
        api.account.hasR2 = false;
      },
      /✗ the bucket gantry cannot be checked: R2 is not switched on for this account .*\[code: 10042\]\)\n {2}Switch it on/,
    ],
  ])('before the upload: %s', async (_, spoil, says) => {
    spoil();
    const { code, stdout, stderr } = await deploy();
    expect(stdout).toMatch(says);
    expect(stderr).toMatch(/something is missing/);
    expect(code).toBe(1);
    expect(api.account.workers.size).toBe(0);
  });

  it.each<[string, string, () => void, RegExp]>([
    [
      '[limits] on the Free plan',
      '[limits]\ncpu_ms = 300_000\n',
      () => {
        api.account.plan = 'free';
      },
      /could not be deployed: \[limits\] in wrangler\.toml needs the Workers Paid plan\n.*Remove \[limits\]/,
    ],
    [
      'a custom domain of a zone that the account does not have',
      '',
      () => {
        api.account.zones.clear();
      },
      /could not be deployed: the custom domain is in no zone of this account\n.*Add the domain/,
    ],
  ])('at the upload: %s', async (_, end, spoil, says) => {
    await configure(DOMAIN, end);
    spoil();
    const { code, stderr } = await deploy();
    expect(stderr).toMatch(says);
    expect(code).toBe(1);
  });
});
