/** The image of the publisher: built from the Containerfile, published by gantry, and run to publish an image. */
import { chmod, copyFile, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../docs/blocks.ts';
import { writeDirImage } from '../publisher/dir-image.ts';
import { type S3Bed, startS3Bed } from '../publisher/stores/s3-bed.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { gantry, missingPrograms, must, titleWith } from './programs.ts';

const missing = missingPrograms('buildah', 'podman', 'skopeo');

let folder: string;
let env: NodeJS.ProcessEnv;
let server: GantryServer;
let bed: S3Bed;

beforeAll(async () => {
  if (missing.length > 0) return;
  folder = await mkdtemp(join(tmpdir(), 'gantry-image-'));
  env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem'), TMPDIR: folder };
  [server, bed] = await Promise.all([startGantry(join(folder, 'state'), { env }), startS3Bed()]);
});
afterAll(async () => {
  if (missing.length > 0) return;
  await Promise.all([server.close(), bed.close()]);
  await rm(folder, { recursive: true, force: true });
});

/** A program over a storage of its own. */
function withStorage(program: string, name: string): (...args: readonly string[]) => Promise<string> {
  const options = ['--root', join(folder, name), '--runroot', join(folder, `${name}-run`), '--storage-driver', 'vfs'];
  return (...args) => must(program, [...options, ...args], { env });
}

/** What stands in for node:24-slim, which is on the public network: this Node, with the libraries that it loads. */
async function makeBase(to: string): Promise<void> {
  const node = process.execPath;
  const listed = await must('ldd', [node]);
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  for (const [from, place] of [[node, '/usr/local/bin/node'], ...libraries.map((path) => [path, path])] as const) {
    await mkdir(dirname(join(to, place)), { recursive: true });
    await copyFile(from, join(to, place));
  }
  await mkdir(join(to, 'tmp'));
  await chmod(join(to, 'tmp'), 0o1777);
}

describe.skipIf(missing.length > 0)(titleWith('the image of the publisher', missing), () => {
  it('is built, published by gantry, pulled, and publishes an image', { timeout: 300_000 }, async () => {
    const context = join(folder, 'context');
    await mkdir(join(context, 'bin'), { recursive: true });
    for (const file of [
      'Containerfile',
      '.dockerignore',
      'package.json',
      'LICENSE',
      'bin/gantry.js',
      'bin/start-bundle.js',
    ])
      await cp(join(ROOT, file), join(context, file));
    await must(process.execPath, [join(ROOT, 'bin', 'build.ts'), join(context, 'dist', 'gantry')]);

    const buildah = withStorage('buildah', 'built');
    await makeBase(join(folder, 'base'));
    const base = (await buildah('from', 'scratch')).trim();
    await buildah('copy', '--quiet', base, join(folder, 'base'), '/');
    await buildah('config', '--env', 'PATH=/usr/local/bin', base);
    await buildah('commit', '--quiet', '--rm', base, 'localhost/base:1');
    const build = ['bud', '--quiet', '--pull-never', '--isolation=chroot', '--build-arg', 'BASE=localhost/base:1'];
    await buildah(...build, '--tag', 'localhost/gantry:1', context);

    const storage = `[vfs@${join(folder, 'built')}+${join(folder, 'built-run')}]`;
    const source = `containers-storage:${storage}localhost/gantry:1`;
    const published = await gantry(['publish', source, 'gantry/gantry:1', '--state', server.state], { env });
    expect(published).toMatchObject({ code: 0 });

    const podman = withStorage('podman', 'pulled');
    const name = `${server.host}/gantry/gantry:1`;
    await podman('pull', '--quiet', '--tls-verify=false', name);
    const image = await writeDirImage(join(folder, 'image'));
    const [, path = ''] = image.source.split(':');
    const { AWS_ENDPOINT_URL = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = bed.env;
    const variables = { AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };
    const passed = Object.entries(variables).flatMap(([variable, value]) => ['--env', `${variable}=${value}`]);
    // Podman would raise its limits, which a machine without CAP_SYS_RESOURCE refuses.
    const limits = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1000:1000'];
    const run = ['run', '--rm', '--network=host', ...limits, '--volume', `${path}:/work/image:ro`];
    const to = ['--to', `s3://${bed.bucket}`];
    const printed = await podman(...run, ...passed, name, 'publish', 'dir:image', 'team/app:1', ...to, '--json');
    expect(printed).toContain(image.manifest.digest);
    const { stdout } = await gantry(['inspect', 'team/app:1', ...to, '--json'], { env: { ...env, ...variables } });
    expect(stdout).toContain(image.manifest.digest);
  });
});
