import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gantry } from '../../interop/programs.ts';
import { expectDescribed } from '../../json-output.ts';

let home: string;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'gantry-deploy-'));
  // Whoever runs the tests may be logged in.
  const login = new Set(['CLOUDFLARE_API_TOKEN', 'CLOUDFLARE_API_KEY', 'CLOUDFLARE_ACCOUNT_ID']);
  const others = Object.fromEntries(Object.entries(process.env).filter(([name]) => !login.has(name)));
  environment = {
    ...others,
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    WRANGLER_SEND_METRICS: 'false',
    NO_COLOR: '1',
  };
});

afterAll(() => rm(home, { recursive: true, force: true }));

describe('gantry deploy', () => {
  it('builds the Worker, names what is missing with what to do, and deploys nothing', async () => {
    const { code, stdout, stderr } = await gantry(['deploy', '--dry-run'], { env: environment });
    expect(stdout).toMatch(/✗ no login at Cloudflare\n {2}Run `npx wrangler login`/);
    expect(stdout).toMatch(/✗ no address/);
    expect(stdout).toMatch(/\? the bucket gantry cannot be checked/);
    expect(stdout).toMatch(/✓ the Worker is built: [\d.]+ KiB, [\d.]+ KiB with gzip/);
    expect(stderr).toMatch(/2 things are missing/);
    expect(stderr).not.toMatch(/cannot be/);
    expect(code).toBe(1);
  }, 120_000);

  it('stops without --dry-run, too, and says so as JSON', async () => {
    const { code, stdout } = await gantry(['deploy', '--json'], { env: environment });
    expectDescribed('deploy', stdout);
    const report = JSON.parse(stdout) as {
      ready: boolean;
      deployed: boolean;
      points: { kind: string; what: string }[];
    };
    expect(report).toMatchObject({ ready: false, deployed: false });
    expect(report.points).toContainEqual(expect.objectContaining({ kind: 'missing', what: 'no login at Cloudflare' }));
    expect(code).toBe(1);
  }, 120_000);

  it('shows why a Worker cannot be built', async () => {
    const config = join(home, 'wrangler.toml');
    const own = await readFile(new URL('../../../wrangler.toml', import.meta.url), 'utf8');
    await writeFile(config, own.replace(/^main = .*$/m, 'main = "none.ts"'));
    const { code, stderr } = await gantry(['deploy', '--dry-run', '--config', config], { env: environment });
    expect(stderr).toMatch(/none\.ts/);
    expect(stderr).toMatch(/the Worker cannot be built/);
    expect(code).toBe(1);
  }, 120_000);

  it('refuses a file that is not there', async () => {
    const { code, stderr } = await gantry(['deploy', '--config', join(home, 'none.toml')], { env: environment });
    expect(stderr).toMatch(/none\.toml cannot be read/);
    expect(code).toBe(1);
  }, 60_000);
});
