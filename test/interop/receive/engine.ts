/** Docker: the engine with its own image store, buildx with each of its drivers that needs no other container. */
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectEqual } from '../matrix/expect.ts';
import type { Machine } from '../matrix/machine.ts';
import { end, must, until } from '../programs.ts';
import { GO_PROGRAMS } from './go-programs.ts';
import { manifestAt, type PushBench, type PushClient, type StartedClient, type Step, versionBy } from './client.ts';

/** Loads an image, pushes it, and pulls it from the edge. */
export const docker: PushClient = { title: 'docker', programs: ['dockerd', 'docker'], start: startDocker };

/** Builds with the engine's builder, and pushes what was built. */
export const buildx: PushClient = {
  title: 'buildx',
  programs: ['dockerd', 'docker', 'docker-buildx'],
  start: startBuildx,
};

/** The same over the engine's newer image store: lists of platforms, and attestations. */
export const buildxContainerd: PushClient = {
  title: 'buildx (containerd)',
  programs: ['dockerd', 'docker', 'docker-buildx', 'containerd'],
  minimumEngine: 24,
  start: startBuildxContainerd,
};

/** BuildKit by itself, which buildx reaches by the driver "remote". */
export const buildkit: PushClient = {
  title: 'buildx (buildkitd)',
  programs: ['buildkitd', 'runc', 'docker-buildx'],
  start: startBuildkit,
};

interface Engine {
  readonly version: string;
  docker(...args: readonly string[]): Promise<string>;
  /** buildx without the plugin folder, so that it may stand anywhere on the PATH. */
  buildx(...args: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

/** Starts dockerd below `folder`, without networks. Call it last: only a client that has started is closed. */
async function startEngine(machine: Machine, folder: string, ...options: readonly string[]): Promise<Engine> {
  await mkdir(folder, { recursive: true });
  const socket = `unix://${join(folder, 'sock')}`;
  const log = await open(join(folder, 'log'), 'w');
  const daemon = machine.start(
    'dockerd',
    [
      ...['--iptables=false', '--ip6tables=false', '--bridge=none', `--data-root=${join(folder, 'data')}`],
      ...[`--exec-root=${join(folder, 'exec')}`, `--pidfile=${join(folder, 'pid')}`, `--host=${socket}`],
      ...options,
    ],
    log.fd,
  );
  daemon.stdout?.resume();
  const command = (...args: readonly string[]): Promise<string> =>
    machine.must('docker', ['--host', socket, ...args], { env: { HOME: folder } });
  const close = async (): Promise<void> => {
    await end(daemon);
    await log.close();
  };
  try {
    await until('dockerd', async () => {
      if (daemon.exitCode !== null) throw new Error('dockerd ended');
      await command('version');
      return true;
    });
  } catch (cause) {
    await close();
    throw new Error(`dockerd did not start: ${(await readFile(join(folder, 'log'), 'utf8')).slice(-500)}`, { cause });
  }
  const version = (await command('version', '--format', '{{.Server.Version}}')).trim();
  const env = { HOME: folder, DOCKER_HOST: socket };
  return { version, docker: command, buildx: (...args) => machine.must('docker-buildx', args, { env }), close };
}

async function startDocker({ push, edge, folder, machine, layout }: PushBench): Promise<StartedClient> {
  const archive = join(folder, 'image.tar');
  await must('skopeo', ['copy', '--quiet', `oci:${layout}:latest`, `docker-archive:${archive}:test/app:1`]);
  const engine = await startEngine(machine, folder, '--storage-driver=vfs');
  const idOf = async (name: string): Promise<string> =>
    (await engine.docker('image', 'inspect', '--format', '{{.Id}}', name)).trim();
  let id: string;
  return {
    version: engine.version,
    close: () => engine.close(),
    steps: [
      {
        title: 'push',
        run: async () => {
          await engine.docker('load', '--input', archive);
          id = await idOf('test/app:1');
          await engine.docker('tag', 'test/app:1', `${push}/docker/app:1`);
          await engine.docker('push', `${push}/docker/app:1`);
        },
      },
      {
        title: 'pull',
        run: async () => {
          await engine.docker('rmi', '--force', `${push}/docker/app:1`, 'test/app:1');
          await engine.docker('pull', `${edge}/docker/app:1`);
          expectEqual('the image ID', await idOf(`${edge}/docker/app:1`), id);
        },
      },
    ],
  };
}

/** A context whose image has two stages and runs nothing, so that it needs no network and no other image. */
async function writeContext(folder: string): Promise<string> {
  const context = join(folder, 'context');
  await mkdir(context, { recursive: true });
  await Promise.all([
    writeFile(join(context, 'note.txt'), 'A note.\n'),
    writeFile(
      join(context, 'Dockerfile'),
      'FROM scratch AS first\nCOPY note.txt /note.txt\n\nFROM scratch\nCOPY --from=first /note.txt /\nCMD ["/note.txt"]\n',
    ),
  ]);
  return context;
}

async function startBuildx({ push, edge, folder, machine }: PushBench): Promise<StartedClient> {
  const context = await writeContext(folder);
  const version = await buildxVersion(machine);
  const engine = await startEngine(machine, folder, '--storage-driver=vfs');
  return {
    version,
    close: () => engine.close(),
    steps: [
      {
        title: '--push',
        run: async () => {
          await engine.buildx('build', '--push', '--tag', `${push}/buildx/app:1`, context);
          await engine.docker('pull', `${edge}/buildx/app:1`);
        },
      },
      {
        title: '--output type=registry',
        run: async () => {
          const output = `type=registry,name=${push}/buildx/output:1`;
          await engine.buildx('build', '--output', output, context);
          await engine.docker('pull', `${edge}/buildx/output:1`);
        },
      },
    ],
  };
}

async function startBuildxContainerd({ push, edge, folder, machine }: PushBench): Promise<StartedClient> {
  await mkdir(folder, { recursive: true });
  const config = join(folder, 'daemon.json');
  await writeFile(config, JSON.stringify({ features: { 'containerd-snapshotter': true } }));
  const context = await writeContext(folder);
  const version = await buildxVersion(machine);
  const engine = await startEngine(machine, folder, `--config-file=${config}`);
  return {
    version,
    close: () => engine.close(),
    steps: [
      platformsStep(edge, 'buildx/platforms', (...options) =>
        engine.buildx('build', ...options, '--push', '--tag', `${push}/buildx/platforms:1`, context),
      ),
      {
        title: 'pull',
        run: async () => {
          const printed = await engine.docker('pull', `${edge}/buildx/platforms:1`);
          const { digest } = await manifestAt(edge, 'buildx/platforms', '1');
          expectEqual('the printed digest', /^Digest: (\S+)$/m.exec(printed)?.[1], digest);
        },
      },
      {
        title: 'imagetools create',
        run: async () => {
          const create = ['imagetools', 'create', '--tag', `${push}/buildx/platforms:2`];
          await engine.buildx(...create, `${push}/buildx/platforms:1`);
          const [first, second] = [
            await manifestAt(edge, 'buildx/platforms', '1'),
            await manifestAt(edge, 'buildx/platforms', '2'),
          ];
          expectEqual('the digest of the new tag', second.digest, first.digest);
        },
      },
    ],
  };
}

async function startBuildkit({ push, edge, folder, machine }: PushBench): Promise<StartedClient> {
  const context = await writeContext(folder);
  const socket = `unix://${join(folder, 'sock')}`;
  const log = await open(join(folder, 'log'), 'w');
  const daemon = machine.start(
    'buildkitd',
    [
      ...[`--addr=${socket}`, `--root=${join(folder, 'root')}`, '--containerd-worker=false'],
      ...['--oci-worker-snapshotter=native', '--oci-worker-net=host'],
    ],
    log.fd,
  );
  daemon.stdout?.resume();
  const env = { HOME: folder };
  const command = (...args: readonly string[]): Promise<string> => machine.must('docker-buildx', args, { env });
  try {
    await command('create', '--name=remote', '--driver=remote', socket);
    await until('buildkitd', async () => {
      if (daemon.exitCode !== null) throw new Error('buildkitd ended');
      await command('inspect', '--bootstrap', 'remote');
      return true;
    });
  } catch (cause) {
    await end(daemon);
    await log.close();
    throw new Error(`buildkitd did not start: ${(await readFile(join(folder, 'log'), 'utf8')).slice(-500)}`, { cause });
  }
  const output = (name: string, ...options: readonly string[]): string =>
    ['type=registry', `name=${push}/${name}:1`, 'registry.insecure=true', ...options].join(',');
  return {
    // What is built from the module does not know its version.
    version: GO_PROGRAMS.buildkitd[0].split('@v')[1] ?? '',
    close: async () => {
      await end(daemon);
      await log.close();
    },
    steps: [
      platformsStep(edge, 'buildkit/platforms', (...options) =>
        command('build', '--builder=remote', ...options, '--output', output('buildkit/platforms'), context),
      ),
      {
        title: 'zstd layers',
        run: async () => {
          // Under a name of its own: a list under the same tag that has the same image stays beside it.
          const zstd = output('buildkit/zstd', 'compression=zstd', 'force-compression=true');
          await command('build', '--builder=remote', '--provenance=false', '--output', zstd, context);
          const { manifest } = await manifestAt(edge, 'buildkit/zstd', '1');
          const types = manifest.layers?.map(({ mediaType }) => mediaType.endsWith('zstd'));
          expectEqual('whether the layers are zstd', types, [true]);
        },
      },
    ],
  };
}

/** Two platforms with attestations. */
function platformsStep(edge: string, name: string, build: (...options: readonly string[]) => Promise<string>): Step {
  return {
    title: 'two platforms, attestations',
    run: async () => {
      await build('--platform=linux/amd64,linux/arm64', '--provenance=mode=max');
      const { manifest } = await manifestAt(edge, name, '1');
      const platforms = manifest.manifests?.map(
        ({ platform }) => `${String(platform?.os)}/${String(platform?.architecture)}`,
      );
      expectEqual('the platforms', platforms?.sort(), [
        ...['linux/amd64', 'linux/arm64', 'unknown/unknown', 'unknown/unknown'],
      ]);
    },
  };
}

function buildxVersion(machine: Machine): Promise<string> {
  return versionBy(machine, 'docker-buildx', 'version');
}
