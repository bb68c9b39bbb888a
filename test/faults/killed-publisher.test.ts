/**
 * A local publisher that is killed leaves no process behind that holds the store, whenever it is; and opening a bucket
 * is as patient as everything else.
 */
import { readdir, readFile, readlink, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../interop/programs.ts';
import { type DirImage, writeDirImage } from '../publisher/dir-image.ts';
import { startGantryProcess } from './processes.ts';
import { byRules, s3Error } from './random.ts';
import { openStorage, type StorageBed } from './storage.ts';

let folder: string;
let image: DirImage;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-killed-'));
  image = await writeDirImage(join(folder, 'image'));
  env = { GANTRY_KEY: join(folder, 'key.pem') };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const isAlive = async (pid: number): Promise<boolean> =>
  /^State:\s+[^ZX]/m.test(await readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => ''));

/** The simulators whose files are below the folder. */
async function simulatorsOver(state: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || !(await readFile(`/proc/${name}/comm`, 'latin1').catch(() => '')).startsWith('workerd'))
      continue;
    const files = await readdir(`/proc/${name}/fd`).catch(() => []);
    const targets = await Promise.all(files.map((file) => readlink(`/proc/${name}/fd/${file}`).catch(() => '')));
    if (targets.some((target) => target.startsWith(state))) found.push(Number(name));
  }
  return found;
}

/**
 * Ends the process as `kill -9` does, right before it starts another program after the simulator: as yet nothing of the
 * kind watches over it.
 */
const DIES_AFTER_SIMULATOR = `
import child from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
const { spawn } = child;
let runs = false;
child.spawn = (...args) => {
  if (runs) process.kill(process.pid, 'SIGKILL');
  if (JSON.stringify(args).includes('workerd')) runs = true;
  return spawn(...args);
};
syncBuiltinESMExports();
`;

describe.skipIf(process.platform !== 'linux')('a local publisher that is killed', () => {
  it('as soon as its simulator runs leaves no simulator behind', { timeout: 60_000 }, async () => {
    const state = join(folder, 'state');
    const args = ['publish', image.source, 'test/app:latest', '--state', state];
    const first = startGantryProcess(args, {
      ...env,
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(DIES_AFTER_SIMULATOR)}`,
    });
    await until('the end of the publisher', async () => !(await isAlive(first.pid)));
    try {
      await until('the end of its simulator', async () => (await simulatorsOver(state)).length === 0, 5_000);
      const { code, output } = await startGantryProcess(args, env).ended;
      expect(code, output).toBe(0);
    } finally {
      for (const pid of await simulatorsOver(state)) process.kill(pid, 'SIGKILL');
    }
  });
});

describe('opening a bucket', () => {
  let bed: StorageBed;
  beforeAll(async () => {
    bed = await openStorage('R2 simulator');
  });
  afterAll(() => bed.close());

  it('rides out as many failures as any other request', async () => {
    bed.proxy.fault = byRules([{ method: 'GET', path: /list-type=2/, times: 5, fault: s3Error(503, 'SlowDown') }]);
    const args = ['publish', image.source, 'test/app:latest', '--to', `s3://${bed.bucket}`];
    const { code, output } = await startGantryProcess(args, { ...env, ...bed.env('proxy') }).ended;
    expect(code, output).toBe(0);
  }, 60_000);
});
