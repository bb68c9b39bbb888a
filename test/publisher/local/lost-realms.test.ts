/** A realm table that was lost stops what would make protected repositories public. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PROJECT } from '../../../src/publisher/project.ts';
import { OWN_CONFIG } from '../../../src/publisher/local/wrangler-config.ts';
import { type Finished, gantry } from '../../interop/programs.ts';
import { titleOf } from '../../attacks.ts';
import { type DirImage, writeDirImage } from '../dir-image.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

let folder: string;
let image: DirImage;
let state: string;

const run = (...args: readonly string[]): Promise<Finished> =>
  gantry([...args, '--state', state], { env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') } });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-realms-'));
  state = join(folder, 'state');
  image = await writeDirImage(join(folder, 'image'));
  const own = (await readFile(OWN_CONFIG, 'utf8')).replace('main = "', `main = "${PROJECT}`);
  await writeFile(join(folder, 'lost.toml'), own);
  await writeFile(
    join(folder, 'whole.toml'),
    `${own}\n[[vars.REALMS]]\npattern = "team/*"\nrealm = "team"\n[vars.ACCESS]\nservice = "registry.example"\n`,
  );
  const published = await run('publish', image.source, 'team/app:v1', '--config', join(folder, 'whole.toml'));
  expect(published).toMatchObject({ code: 0 });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe(titleOf('realms-lost-commands'), () => {
  it.each([
    ['gantry serve', ['serve', '--port', '0']],
    ['gantry publish', ['publish', 'SOURCE', 'other/app:v1']],
    ['gantry rm', ['rm', 'team/app:v1']],
  ])('%s', async (_, args) => {
    const given = args.map((arg) => (arg === 'SOURCE' ? image.source : arg));
    const { code, stderr } = await run(...given, '--config', join(folder, 'lost.toml'));
    expect(stderr).toContain('REALMS is empty, but the bucket was written with the protected realms team');
    expect(stderr).toContain('gantry.json');
    expect(code).toBe(1);
  });

  it('commands that read do not stop', async () => {
    const { code, stdout } = await run('ls', 'team/app', '--json', '--config', join(folder, 'lost.toml'));
    expect([code, JSON.parse(stdout)]).toMatchObject([0, [{ tag: 'v1' }]]);
  });
});
