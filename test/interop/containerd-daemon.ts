/** Debian's containerd for one test file, with `ctr`: no CRI, its own folders. */
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { end, must, until } from './programs.ts';

/** A running containerd. */
export interface ContainerdDaemon {
  /** Runs `ctr`; rejects with its output if it fails. */
  ctr(...args: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

/** Starts containerd below `folder`; throws with the end of its log where it cannot start. */
export async function startContainerd(folder: string): Promise<ContainerdDaemon> {
  await mkdir(folder, { recursive: true });
  const socket = join(folder, 'sock');
  const config = join(folder, 'config.toml');
  const lines = [
    'version = 2',
    `root = ${JSON.stringify(join(folder, 'root'))}`,
    `state = ${JSON.stringify(join(folder, 'state'))}`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    `[grpc]\n  address = ${JSON.stringify(socket)}`,
    `[plugins."io.containerd.internal.v1.opt"]\n  path = ${JSON.stringify(join(folder, 'opt'))}`,
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const log = await open(join(folder, 'log'), 'w');
  const daemon = spawn('containerd', ['--config', config], { stdio: ['ignore', 'ignore', log.fd] });
  const ctr = (...args: readonly string[]): Promise<string> =>
    must('ctr', ['--address', socket, '--namespace', 'test', ...args]);
  try {
    await until('containerd', async () => {
      if (daemon.exitCode !== null) throw new Error('containerd ended');
      await ctr('version');
      return true;
    });
  } catch (cause) {
    await end(daemon);
    throw new Error(`containerd did not start: ${(await readFile(join(folder, 'log'), 'utf8')).slice(-500)}`, {
      cause,
    });
  }
  return {
    ctr,
    close: async () => {
      await end(daemon);
      await log.close();
    },
  };
}
