/** The package as npm users install it: packed, installed into an empty folder, and started from there. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const ROOT = new URL('../..', import.meta.url).pathname;

let folder: string;
let gantry: string;
let env: NodeJS.ProcessEnv;
let server: ChildProcess | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-package-'));
  // Npm's own Node must be the project's: it skips optional dependencies whose engines do not fit.
  env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
    XDG_STATE_HOME: join(folder, 'state'),
  };
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT, env });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
  const install = ['install', '-g', '--prefix', join(folder, 'prefix'), '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', [...install, join(folder, tarball)], { cwd: folder, env });
  gantry = join(folder, 'prefix', 'bin', 'gantry');
}, 300_000);
afterAll(async () => {
  if (server?.exitCode === null) {
    server.kill('SIGINT');
    await once(server, 'exit');
  }
  await rm(folder, { recursive: true, force: true });
});

describe('the installed package', () => {
  it('serves the demo image, and keeps its store in the XDG state folder', async () => {
    server = spawn(gantry, ['serve', '--port', '0', '--json'], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (server.stdout === null) throw new Error('the server has no output');
    const { value } = (await createInterface(server.stdout)[Symbol.asyncIterator]().next()) as { value: string };
    const { url, state } = JSON.parse(value) as { url: string; state: string };
    expect(state).toBe(join(folder, 'state', 'gantry', 'store'));
    const response = await fetch(`${url}/v2/demo/hello/tags/list`);
    expect(await response.json()).toEqual({ name: 'demo/hello', tags: ['latest'] });
  }, 120_000);

  it('lists, and builds what it would deploy', async () => {
    expect((await run(gantry, ['ls'], { cwd: folder, env })).stdout).toMatch(/^demo\/hello +1 tag$/m);
    const failure = await run(gantry, ['deploy', '--dry-run', '--json'], {
      cwd: folder,
      env: { ...env, CLOUDFLARE_API_BASE_URL: 'http://127.0.0.1:9' },
    }).catch((error: unknown) => error as { stdout: string });
    const { ready, worker } = JSON.parse(failure.stdout) as { ready: boolean; worker: { bytes: number } | null };
    expect([ready, (worker?.bytes ?? 0) > 100_000]).toEqual([false, true]);
  }, 120_000);
});
