/**
 * Real Docker engines before 1.10, from a folder with `docker-1.6.2`, `docker-1.7.1` and so on: the static binaries
 * that Docker published, or ones built from the tags of moby. They run on today's kernels with the vfs driver and
 * without networks, and need root and cgroup v1. Each daemon has mounts of its own, so that nothing of this machine
 * changes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { end, must, run, until } from '../programs.ts';
import { type Tree, treeOfFolder } from './tree.ts';

/** The engines that may be in the folder, oldest first; those that are not there are skipped by name. */
export const DAEMON_VERSIONS = ['1.6.2', '1.7.1', '1.8.3', '1.9.1'] as const;

/** An engine that runs. */
export interface OldDaemon {
  readonly version: string;
  /**
   * Pulls, and gives what the engine unpacked and the digest that it printed, if it printed one. Throws what its user
   * reads.
   */
  pull(reference: string): Promise<{ readonly tree: Tree; readonly printed: string | undefined }>;
  /** `docker pull --all-tags`: the tags that are there afterwards. */
  pullAll(repository: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The versions that have a binary in the folder. Throws if the folder cannot be read. */
export async function daemonsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  return DAEMON_VERSIONS.filter((version) => names.includes(`docker-${version}`));
}

// The daemon writes to fixed places. In a mount namespace of its own, those are empty and vanish with it.
const IN_OWN_MOUNTS =
  'for at in /etc/docker /run/docker; do mkdir -p "$at" && mount -t tmpfs tmpfs "$at"; done && exec "$0" "$@"';

/** Starts the daemon of a version. `folder`: for its state. Throws, with the end of its log, if it does not start. */
export async function startOldDaemon(binaries: string, version: string, folder: string): Promise<OldDaemon> {
  const binary = join(binaries, `docker-${version}`);
  await mkdir(join(folder, 'home'), { recursive: true });
  const env = { ...process.env, HOME: join(folder, 'home') };
  const socket = `unix://${join(folder, 'sock')}`;
  const log = join(folder, 'log');
  const file = openSync(log, 'w');
  const daemon: ChildProcess = spawn(
    'unshare',
    [
      ...['--mount', 'sh', '-c', IN_OWN_MOUNTS, binary, ...(version < '1.8' ? ['-d'] : ['daemon'])],
      ...['-s', 'vfs', '--iptables=false', '--bridge=none', '--ip-masq=false'],
      ...['-g', join(folder, 'data'), '-p', join(folder, 'pid'), '-H', socket],
    ],
    { env, stdio: ['ignore', file, file] },
  );
  closeSync(file);
  const command = (...args: readonly string[]): Promise<string> => must(binary, ['-H', socket, ...args], { env });
  try {
    await until(`docker ${version}`, async () => {
      if (daemon.exitCode !== null) throw new Error('the daemon ended');
      await command('version');
      return true;
    });
  } catch (cause) {
    await end(daemon);
    throw new Error(`docker ${version} did not start: ${(await readFile(log, 'utf8')).slice(-500)}`, { cause });
  }
  const pull = async (reference: string, ...options: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(binary, ['-H', socket, 'pull', ...options, reference], { env });
    if (code !== 0) throw new Error(`${stderr}${stdout}`.trim());
    return stdout;
  };
  return {
    version,
    pull: async (reference) => {
      const printed = /^Digest: (\S+)$/m.exec(await pull(reference))?.[1];
      const id = (await command('inspect', '--format', '{{.Id}}', reference)).trim();
      // The vfs driver keeps the whole filesystem of each image in a folder of its own.
      const tree = await treeOfFolder(join(folder, 'data', 'vfs', 'dir', id));
      await command('rmi', '-f', id);
      return { tree, printed };
    },
    pullAll: async (repository) => {
      await pull(repository, '--all-tags');
      const rows = (await command('images', '--no-trunc')).trim().split('\n');
      const words = rows.map((row) => row.split(/\s+/)).filter(([name]) => name === repository);
      for (const id of new Set(words.map(([, , word]) => word ?? ''))) await command('rmi', '-f', id);
      return words.map(([, tag]) => tag ?? '');
    },
    close: () => end(daemon),
  };
}
