/**
 * Ends workerd with this process. Miniflare does so at a normal exit, but after `kill -9` workerd would keep running
 * with the store's files open. On Linux the kernel ends it; elsewhere a shell that waits for the end of this process
 * does.
 */
import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { PROJECT } from '../project.ts';

/**
 * Makes Miniflare start workerd so that the kernel ends it with this process. `require` resolves Miniflare's own
 * dependencies. False if this system cannot do that: then use {@link endWithThisProcess}.
 */
export async function startWithParent(require: NodeJS.Require): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  // Not every setpriv has the option: BusyBox's does not.
  const works = await promisify(execFile)('setpriv', ['--pdeathsig', 'KILL', '--', 'true']).then(
    () => true,
    () => false,
  );
  if (!works) return false;
  const { default: workerd } = require('workerd') as { readonly default: string };
  process.env.GANTRY_WORKERD = workerd;
  process.env.GANTRY_PID = String(process.pid);
  // The only setting that Miniflare has for its program.
  process.env.MINIFLARE_WORKERD_PATH = `${PROJECT}bin/workerd.sh`;
  return true;
}

/**
 * Ends these processes with this one: a shell waits for the end of its standard input, which closes with this process.
 * Without a shell, this does nothing.
 */
export function endWithThisProcess(pids: readonly number[]): { dismiss(): void } {
  if (pids.length === 0) return { dismiss: () => undefined };
  const shell = spawn('/bin/sh', ['-c', 'read -r line; kill -9 "$@"', 'sh', ...pids.map(String)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  // Without this, the pipe keeps the process running.
  (shell.stdin as typeof shell.stdin & { unref?: () => void }).unref?.();
  return { dismiss: () => void shell.kill('SIGKILL') };
}

/** The workerd processes that this process started. */
export async function workerdChildren(): Promise<readonly number[]> {
  return (await childrenOf(String(process.pid))).map(Number);
}

async function childrenOf(own: string): Promise<string[]> {
  try {
    const children = (await readFile(`/proc/${own}/task/${own}/children`, 'utf8'))
      .split(' ')
      .filter((pid) => pid !== '');
    const names = await Promise.all(children.map((pid) => readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')));
    return children.filter((_, index) => names[index]?.startsWith('workerd') === true);
  } catch {
    // Not Linux.
    const found = await promisify(execFile)('pgrep', ['-P', own, 'workerd']).catch(() => ({ stdout: '' }));
    return found.stdout.split('\n').filter((pid) => pid !== '');
  }
}
