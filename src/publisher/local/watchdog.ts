import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * Ends workerd with this process. Miniflare does so at a normal exit, but after `kill -9` workerd would keep running
 * with the store's files open. A shell waits for the end of its standard input, which closes with this process, and
 * then kills workerd. Without a shell, this does nothing.
 */
export async function endWithThisProcess(): Promise<{ dismiss(): void }> {
  const pids = await workerdChildren();
  if (pids.length === 0) return { dismiss: () => undefined };
  const shell = spawn('/bin/sh', ['-c', 'read -r line; kill -9 "$@"', 'sh', ...pids], {
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

async function workerdChildren(): Promise<string[]> {
  const own = String(process.pid);
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
