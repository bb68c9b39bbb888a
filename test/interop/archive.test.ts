/** Images as files: what `curl …/r/NAME:TAG.tar` gives is loaded by real programs. */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX_PROGRAMS, makeBusybox } from './busybox.ts';
import { startContainerd } from './containerd-daemon.ts';
import { startDockerDaemon } from './docker-daemon.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { gantry, missingPrograms, must, run, titleWith } from './programs.ts';

const noBusybox = missingPrograms('curl', ...BUSYBOX_PROGRAMS);
const noDocker = missingPrograms('dockerd');
const noPodman = missingPrograms('podman');
const noContainerd = missingPrograms('containerd', 'ctr');
const noTar = missingPrograms('tar');

describe.skipIf(noBusybox.length > 0)(titleWith('an image as a file', noBusybox), () => {
  let folder: string;
  let server: GantryServer;
  let archive: string;
  let image: string;
  let config: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-archive-'));
    const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
    server = await startGantry(join(folder, 'state'), { env });
    image = `${server.host}/test/busybox:1.0`;
    const layout = await makeBusybox(folder);
    const { code, stderr } = await gantry(
      ['publish', `oci:${layout}:latest`, 'test/busybox:1.0', '--state', server.state],
      { env },
    );
    expect(stderr + String(code)).toMatch(/0$/);
    archive = join(folder, 'busybox.tar');
    await must('curl', ['-fsS', '-o', archive, `${server.url}/r/test/busybox:1.0.tar`]);
    const raw = await must('skopeo', ['inspect', '--raw', `oci:${layout}:latest`]);
    config = (JSON.parse(raw) as { config: { digest: string } }).config.digest;
  });

  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.skipIf(noDocker.length > 0)(
    titleWith('is loaded and run by a Docker engine, with the name and the ID of a pull', noDocker),
    async () => {
      const daemon = await startDockerDaemon(join(folder, 'docker'));
      try {
        expect(await daemon.docker('load', '-i', archive)).toContain(`Loaded image: ${image}`);
        expect((await daemon.docker('images', '--no-trunc', '-q', image)).trim()).toBe(config);
        expect(await daemon.docker('run', '--rm', image)).toMatch(/made for a test/);
        expect(await daemon.docker('pull', image)).toContain('Image is up to date');
      } finally {
        await daemon.close();
      }
    },
  );

  it.skipIf(noPodman.length > 0)(titleWith('is loaded by podman', noPodman), async () => {
    const storage = ['--storage-driver', 'vfs', '--root', join(folder, 'podman'), '--runroot', join(folder, 'run')];
    expect(await must('podman', [...storage, 'load', '-i', archive])).toContain(image);
    const id = await must('podman', [...storage, 'images', '--no-trunc', '-q', image]);
    expect(id.trim()).toBe(config);
    const mounted = (await must('podman', [...storage, 'image', 'mount', image])).trim();
    expect(await readFile(join(mounted, 'note.txt'), 'utf8')).toMatch(/made for a test/);
    await must('podman', [...storage, 'image', 'unmount', image]);
  });

  it.skipIf(noContainerd.length > 0)(titleWith('is imported by containerd', noContainerd), async () => {
    const daemon = await startContainerd(join(folder, 'containerd'));
    try {
      await daemon.ctr('images', 'import', '--snapshotter', 'native', archive);
      const mounted = join(folder, 'mounted');
      await mkdir(mounted);
      await daemon.ctr('images', 'mount', '--snapshotter', 'native', image, mounted);
      expect(await readFile(join(mounted, 'note.txt'), 'utf8')).toMatch(/made for a test/);
      await daemon.ctr('images', 'unmount', '--rm', mounted);
    } finally {
      await daemon.close();
    }
  });

  it('is copied by skopeo', async () => {
    const out = join(folder, 'copied');
    await must('skopeo', ['copy', `docker-archive:${archive}`, `dir:${out}`]);
    expect(await readdir(out)).toContain(config.slice('sha256:'.length));
  });

  it.skipIf(noTar.length > 0)(
    titleWith('is what Docker before 1.10 loads: each folder at the top is an image, and its layer unpacks', noTar),
    async () => {
      // moby 1.6 to 1.9, graph/load.go: the archive is unpacked, and every folder at its top is read as an image.
      const below = join(folder, 'loaded');
      await mkdir(below);
      await must('tar', ['-xf', archive, '-C', below]);
      const parents = new Map<string, string | undefined>();
      for (const entry of await readdir(below, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const { id, parent } = JSON.parse(await readFile(join(below, entry.name, 'json'), 'utf8')) as {
          id: string;
          parent?: string;
        };
        expect(id).toBe(entry.name);
        parents.set(id, parent);
        gunzipSync(await readFile(join(below, id, 'layer.tar')));
      }
      const repositories = JSON.parse(await readFile(join(below, 'repositories'), 'utf8')) as Record<
        string,
        Record<string, string>
      >;
      let id = repositories[`${server.host}/test/busybox`]?.['1.0'];
      const chain = [];
      for (; id !== undefined; id = parents.get(id)) chain.push(id);
      expect(chain).toHaveLength(3);
      expect([...parents.keys()].sort()).toEqual(chain.sort());
    },
  );

  it('leaves nothing for a loader where there is no image: curl ends with an error', async () => {
    const { code, stdout, stderr } = await run('curl', ['-fsS', `${server.url}/r/test/busybox:2.0.tar`]);
    expect([code, stdout]).toEqual([22, '']);
    expect(stderr).toContain('404');
  });
});
