/** skopeo, podman and buildah. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectEqual } from '../matrix/expect.ts';
import { must } from '../programs.ts';
import {
  digestAt,
  manifestAt,
  type PushBench,
  type PushClient,
  type StartedClient,
  type Step,
  versionBy,
} from './client.ts';

/** Copies in every form. */
export const skopeo: PushClient = { title: 'skopeo', programs: ['skopeo'], start: startSkopeo };

/** Loads an image, pushes it, and pulls it from the edge. */
export const podman: PushClient = { title: 'podman', programs: ['podman'], start: startPodman };

/** Builds an image, and pushes it. */
export const buildah: PushClient = { title: 'buildah', programs: ['buildah'], start: startBuildah };

async function startSkopeo({ push, edge, folder, machine, layout }: PushBench): Promise<StartedClient> {
  await mkdir(folder, { recursive: true });
  const command = async (verb: string, ...args: readonly string[]): Promise<string> =>
    (await machine.must('skopeo', [verb, ...args])).trim();
  const step = (name: string, form: string, options: readonly string[], source = `oci:${layout}:latest`): Step => ({
    title: `copy, ${form}`,
    run: async () => {
      const digestFile = join(folder, `${name}.digest`);
      const to = ['--dest-tls-verify=false', `--digestfile=${digestFile}`, source, `docker://${push}/skopeo/${name}:1`];
      await command('copy', '--quiet', ...options, ...to);
      const digest = (await readFile(digestFile, 'utf8')).trim();
      const reference = `docker://${edge}/skopeo/${name}`;
      const read = ['--tls-verify=false', '--format', '{{.Digest}}', `${reference}@${digest}`];
      expectEqual('the digest', await command('inspect', ...read), digest);
      await command('copy', '--quiet', '--src-tls-verify=false', `${reference}:1`, `dir:${join(folder, name)}`);
    },
  });
  const zstd = step(
    'zstd',
    'zstd',
    ['--format=oci', '--dest-compress', '--dest-compress-format=zstd'],
    `dir:${join(folder, 'unpacked')}`,
  );
  return {
    version: await versionBy(machine, 'skopeo', '--version'),
    steps: [
      step('v2s2', 'schema 2', ['--format=v2s2']),
      step('v2s1', 'schema 1', ['--format=v2s1']),
      step('oci', 'OCI', ['--format=oci']),
      {
        title: zstd.title,
        run: async () => {
          // Layers that are compressed are pushed as they are, and so is every layer that skopeo knows to be there.
          const own = join(folder, 'layout');
          const image = `${own}:latest`;
          await must('umoci', ['init', '--layout', own]);
          await must('umoci', ['new', '--image', image]);
          await must('umoci', ['insert', '--image', image, join(folder, 'oci.digest'), '/digest']);
          await command('copy', '--quiet', '--dest-decompress', `oci:${image}`, `dir:${join(folder, 'unpacked')}`);
          await zstd.run();
          const { layers = [] } = (await manifestAt(edge, 'skopeo/zstd', '1')).manifest;
          const types = layers.map(({ mediaType }) => mediaType.endsWith('+zstd'));
          expectEqual('whether the layers are zstd', types, [true]);
        },
      },
    ],
  };
}

/** `podman` and `buildah` over a storage of their own. */
function storageCommand(
  { folder, machine }: PushBench,
  program: string,
): (...args: readonly string[]) => Promise<string> {
  const options = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  return (...args) => machine.must(program, [...options, ...args]);
}

async function startPodman(bench: PushBench): Promise<StartedClient> {
  const { push, edge, folder, machine, layout } = bench;
  await mkdir(folder, { recursive: true });
  const command = storageCommand(bench, 'podman');
  const archive = join(folder, 'image.tar');
  await must('skopeo', ['copy', '--quiet', `oci:${layout}:latest`, `docker-archive:${archive}:test/app:1`]);
  let id: string;
  const idOf = async (name: string): Promise<string> =>
    (await command('image', 'inspect', '--format', '{{.Id}}', name)).trim();
  return {
    version: await versionBy(machine, 'podman', '--version'),
    steps: [
      {
        title: 'push',
        run: async () => {
          await command('load', '--quiet', '--input', archive);
          id = await idOf('docker.io/test/app:1');
          await command(
            ...['push', '--quiet', '--tls-verify=false', 'docker.io/test/app:1', `docker://${push}/podman/app:1`],
          );
        },
      },
      {
        title: 'pull',
        run: async () => {
          await command('rmi', '--force', 'docker.io/test/app:1');
          await command('pull', '--quiet', '--tls-verify=false', `${edge}/podman/app:1`);
          expectEqual('the image ID', await idOf(`${edge}/podman/app:1`), id);
        },
      },
    ],
  };
}

async function startBuildah(bench: PushBench): Promise<StartedClient> {
  const { push, edge, folder, machine } = bench;
  const context = join(folder, 'context');
  await mkdir(context, { recursive: true });
  await writeFile(join(context, 'Containerfile'), 'FROM scratch\nCOPY Containerfile /\n');
  const command = storageCommand(bench, 'buildah');
  return {
    version: await versionBy(machine, 'buildah', '--version'),
    steps: [
      {
        title: 'build',
        run: async () => {
          await command('bud', '--quiet', '--tag', 'app:1', context);
          await command('push', '--quiet', '--tls-verify=false', 'app:1', `docker://${push}/buildah/app:1`);
          expectEqual('the layers', (await manifestAt(edge, 'buildah/app', '1')).manifest.layers?.length, 1);
        },
      },
      {
        title: 'manifest push',
        run: async () => {
          await command('manifest', 'create', 'list:1', 'app:1');
          const digestFile = join(folder, 'list.digest');
          await command(
            ...['manifest', 'push', '--all', '--tls-verify=false', `--digestfile=${digestFile}`],
            ...['list:1', `docker://${push}/buildah/list:1`],
          );
          const digest = (await readFile(digestFile, 'utf8')).trim();
          expectEqual('the digest of the list', await digestAt(edge, 'buildah/list', '1'), digest);
        },
      },
    ],
  };
}
