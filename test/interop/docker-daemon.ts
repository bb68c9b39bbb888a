/** Debian's Docker engine (20.10) for one test file: no network, no iptables, its own folders. */
import { spawn } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { end, must, run, until } from './programs.ts';

/** A running engine. */
export interface DockerDaemon {
  /** Runs `docker` against this engine; rejects with its output if it fails. */
  docker(...args: readonly string[]): Promise<string>;
  /** The same with credentials and settings of a client's own. */
  dockerAs(
    config: string,
    ...args: readonly string[]
  ): Promise<{ code: number | null; stdout: string; stderr: string }>;
  close(): Promise<void>;
}

/** Starts dockerd below `folder`; throws with the end of its log where it cannot start (no root, no cgroups). */
export async function startDockerDaemon(
  folder: string,
  options: { driver?: 'vfs' | 'overlay2'; args?: readonly string[] } = {},
): Promise<DockerDaemon> {
  await mkdir(folder, { recursive: true });
  const socket = `unix://${join(folder, 'docker.sock')}`;
  const logFile = join(folder, 'dockerd.log');
  const log = createWriteStream(logFile);
  await new Promise((resolve) => log.once('open', resolve));
  const child = spawn(
    'dockerd',
    [
      '--iptables=false',
      '--ip6tables=false',
      '--bridge=none',
      `--storage-driver=${options.driver ?? 'vfs'}`,
      `--data-root=${join(folder, 'data')}`,
      `--exec-root=${join(folder, 'exec')}`,
      `--pidfile=${join(folder, 'pid')}`,
      `--host=${socket}`,
      ...(options.args ?? []),
    ],
    { stdio: ['ignore', log, log] },
  );
  // Debian's own client: another one of the same name may stand earlier on PATH.
  const client = '/usr/bin/docker';
  try {
    await until('dockerd', async () => {
      if (child.exitCode !== null) throw new Error('dockerd ended');
      return (await run(client, ['--host', socket, 'version'])).code === 0;
    });
  } catch (cause) {
    const text = await readFile(logFile, 'utf8');
    throw new Error(`dockerd did not start:\n${text.slice(-2_000)}`, { cause });
  }
  return {
    docker: (...args) => must(client, ['--host', socket, ...args]),
    dockerAs: (config, ...args) => run(client, ['--config', config, '--host', socket, ...args]),
    close: async () => {
      await end(child);
      log.close();
    },
  };
}
