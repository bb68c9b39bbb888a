/** The examples: the template of the "Deploy to Cloudflare" button, and the Terraform module. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { missingPrograms, run, titleWith } from '../../interop/programs.ts';
import { type CloudflareApi, startCloudflareApi } from './cloudflare-api.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const TEMPLATE = join(ROOT, 'examples', 'cloudflare');
const WRANGLER = join(dirname(createRequire(import.meta.url).resolve('wrangler/package.json')), 'bin/wrangler.js');

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly cloudflare: { readonly bindings: Readonly<Record<string, { readonly description: string }>> };
}

const manifestOf = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
const tomlOf = async (folder: string): Promise<Readonly<Record<string, unknown>>> =>
  parse(await readFile(join(folder, 'wrangler.toml'), 'utf8'));

// What the button reads is documented in "Workers · Deploy to Cloudflare buttons".
describe('the template of the "Deploy to Cloudflare" button', () => {
  let home: string;
  let copy: string;
  let api: CloudflareApi;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'gantry-template-'));
    copy = join(home, 'registry');
    api = await startCloudflareApi();
    // The button makes the buckets that the file names.
    api.account.createBucket('gantry');
    await cp(TEMPLATE, copy, { recursive: true });
    // As npm installs it: esbuild treats what is below node_modules differently, so a link would not do.
    const installed = join(copy, 'node_modules', 'gantry-registry');
    await mkdir(installed, { recursive: true });
    await cp(join(ROOT, 'src'), join(installed, 'src'), { recursive: true });
    await cp(join(ROOT, 'package.json'), join(installed, 'package.json'));
    for (const name of Object.keys((await manifestOf(ROOT)).dependencies)) {
      const link = join(copy, 'node_modules', name);
      await mkdir(dirname(link), { recursive: true });
      await symlink(join(ROOT, 'node_modules', name), link);
    }
  });

  afterAll(async () => {
    await api.close();
    await rm(home, { recursive: true, force: true });
  });

  it('has the settings of the delivered wrangler.toml, but for the address and the place of the code', async () => {
    const { main, workers_dev, ...rest } = await tomlOf(TEMPLATE);
    const { main: ownMain, workers_dev: ownWorkersDev, ...ownRest } = await tomlOf(ROOT);
    expect([main, workers_dev]).toEqual([`node_modules/gantry-registry/${String(ownMain)}`, true]);
    expect(ownWorkersDev).toBe(false);
    expect(rest).toEqual(ownRest);
  });

  it('installs this version with its Wrangler, and describes each binding and secret that the button asks for', async () => {
    const { dependencies, devDependencies, scripts, cloudflare } = await manifestOf(TEMPLATE);
    const own = await manifestOf(ROOT);
    expect(dependencies).toEqual({ 'gantry-registry': `^${own.version}` });
    expect(devDependencies.wrangler).toBe(own.optionalDependencies.wrangler);
    expect(scripts.deploy).toBe('wrangler deploy');
    const secrets = [...(await readFile(join(TEMPLATE, '.dev.vars.example'), 'utf8')).matchAll(/^(\w+)=/gm)];
    expect(Object.keys(cloudflare.bindings)).toEqual(['BUCKET', ...secrets.map(([, name]) => name)]);
  });

  it('deploys the Worker with its pages from the installed package', async () => {
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith('CLOUDFLARE_'));
    const env = {
      ...Object.fromEntries(others),
      ...api.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, 'config'),
      WRANGLER_CACHE_DIR: join(home, 'cache'),
      WRANGLER_SEND_METRICS: 'false',
    };
    expect(await run(process.execPath, [WRANGLER, 'deploy'], { env, cwd: copy })).toMatchObject({ code: 0 });
    const { metadata, modules } = api.account.deployed('gantry');
    const { cache, exports } = await tomlOf(ROOT);
    expect(metadata).toMatchObject({ cache_options: cache, exports });
    expect(api.account.worker('gantry').subdomain).toEqual({ enabled: true, previews_enabled: false });
    // esbuild ignores tsconfig.json below node_modules, and would then call React for JSX.
    expect(modules.get('index.js')?.bytes.includes('React.createElement')).toBe(false);
    expect(api.unknown).toEqual([]);
  });
});

const installed = ['terraform', 'tofu'].find((name) => spawnSync(name, ['version']).status === 0);
const missing = installed === undefined ? missingPrograms('terraform') : [];

describe('the Terraform module', () => {
  it.skipIf(missing.length > 0)(titleWith('is written in valid syntax and in the usual form', missing), async () => {
    const folder = join(ROOT, 'examples', 'terraform');
    const { code, stdout, stderr } = await run(installed ?? '', ['fmt', '-check', '-diff', folder]);
    expect([code, stdout, stderr.replace(/^There are some problems with the CLI configuration[^]*$/, '')]).toEqual([
      0,
      '',
      '',
    ]);
  });

  it('names the bucket and the Worker of wrangler.toml', async () => {
    const module = await readFile(join(ROOT, 'examples', 'terraform', 'main.tf'), 'utf8');
    const { name, r2_buckets } = await tomlOf(ROOT);
    const defaultOf = (variable: string): string | undefined =>
      new RegExp(`variable "${variable}" \\{[^}]*default\\s*= "([^"]*)"`).exec(module)?.[1];
    expect(defaultOf('worker')).toBe(name);
    expect([{ binding: 'BUCKET', bucket_name: defaultOf('bucket') }]).toEqual(r2_buckets);
  });
});
