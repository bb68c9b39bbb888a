/** How much memory a process and all that it started take, by Linux's own count. */
import { readdir, readFile } from 'node:fs/promises';

/** Watches until stopped; `stop` gives the most bytes that were taken at one moment, by all processes together. */
export function watchMemory(...roots: readonly number[]): { stop(): number } {
  let most = 0;
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    most = Math.max(most, await memoryOf(roots));
    busy = false;
  };
  const timer = setInterval(() => void look(), 100);
  return {
    stop: () => {
      clearInterval(timer);
      return most;
    },
  };
}

/**
 * Bytes taken now, by the processes and all below them. What several share (programs, libraries) counts once: proc(5),
 * `Pss` of `smaps_rollup`.
 */
export async function memoryOf(roots: readonly number[]): Promise<number> {
  const children = new Map<number, number[]>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    // The name stands in parentheses and may hold anything; the parent is the second field after it.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree: number[] = [];
  for (const queue = [...roots]; ;) {
    const pid = queue.pop();
    if (pid === undefined) break;
    tree.push(pid);
    queue.push(...(children.get(pid) ?? []));
  }
  const sizes = await Promise.all(
    tree.map((pid) => readFile(`/proc/${String(pid)}/smaps_rollup`, 'latin1').catch(() => '')),
  );
  return sizes.reduce((sum, text) => sum + Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024, 0);
}
