/** Copies of layers with explicit whiteouts: a real engine makes the same files of them as of the published layers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeDirImage } from '../publisher/dir-image.ts';
import { tarBytes } from '../publisher/sources/tar-bytes.ts';
import { type DockerDaemon, startDockerDaemon } from './docker-daemon.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { gantry, missingPrograms, must, titleWith } from './programs.ts';

const missing = missingPrograms('dockerd', 'tar');

const folder = (name: string): { name: string; type: string } => ({ name: `${name}/`, type: '5' });
const LAYERS = [
  [folder('etc'), { name: 'etc/a' }, folder('etc/d'), { name: 'etc/d/x' }, folder('etc/e'), { name: 'etc/e/y' }],
  [folder('etc'), { name: 'etc/.wh..wh..opq' }, { name: 'etc/new' }, folder('etc/d'), { name: 'etc/d/z' }],
].map((members) => new Uint8Array(tarBytes(members)));

interface Inspected {
  readonly forms: readonly { readonly form: string; readonly digest: string }[];
}

describe.skipIf(missing.length > 0)(titleWith('an image with opaque whiteouts', missing), () => {
  let below: string;
  let server: GantryServer;
  let daemon: DockerDaemon;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    below = await mkdtemp(join(tmpdir(), 'gantry-opaque-'));
    env = { ...process.env, GANTRY_KEY: join(below, 'key.pem') };
    server = await startGantry(join(below, 'state'), { env });
    daemon = await startDockerDaemon(join(below, 'docker'));
  });

  afterAll(async () => {
    await daemon.close();
    await server.close();
    await rm(below, { recursive: true, force: true });
  });

  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await gantry([...args, '--state', server.state], { env });
    expect(stderr + String(code)).toMatch(/0$/);
    return stdout;
  };

  /** The files below `/etc` of a container of the image. */
  async function filesOf(image: string): Promise<readonly string[]> {
    await daemon.docker('pull', image);
    const container = (await daemon.docker('create', image, '/none')).trim();
    const archive = join(below, `${container}.tar`);
    await daemon.docker('export', '-o', archive, container);
    const files = (await must('tar', ['-tf', archive])).split('\n').filter((path) => /^etc\/.*[^/]$/.test(path));
    await daemon.docker('rm', container);
    // The mounts of every container are no files of the image.
    return files.filter((path) => !/^etc\/(?:hosts|hostname|mtab|resolv\.conf)$/.test(path)).sort();
  }

  it('has the same files as schema 2 and as the schema 1 with copies', async () => {
    const { source } = await writeDirImage(join(below, 'image'), { layers: LAYERS });
    await run('publish', source, 'test/opaque:1', '--rewrite-opaque');
    const { forms } = JSON.parse(await run('inspect', 'test/opaque:1', '--json')) as Inspected;
    const schema1 = forms.find(({ form }) => form === 'docker-schema1')?.digest ?? '';
    const expected = ['etc/d/z', 'etc/new'];
    expect(await filesOf(`${server.host}/test/opaque:1`)).toEqual(expected);
    expect(await filesOf(`${server.host}/test/opaque@${schema1}`)).toEqual(expected);
  });
});
