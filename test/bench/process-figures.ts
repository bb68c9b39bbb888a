/** What Linux tells of a process (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';

// USER_HZ, in which /proc counts; 100 on every Linux there is, whatever the kernel's own rate.
const TICKS_PER_SECOND = 100;

/**
 * Seconds of processor time that a process and its threads have used so far, in user and system mode. Throws if it has
 * ended.
 */
export function cpuSeconds(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Bytes that are resident now (`VmRSS`), or were at most since its beginning (`VmHWM`); null once it has ended. */
export function memoryOf(pid: number, which: 'VmRSS' | 'VmHWM'): number | null {
  try {
    const found = new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'));
    return found === null ? null : Number(found[1]) * 1024;
  } catch {
    return null;
  }
}

/** The processes of some name below `parent`, at any depth. */
export function descendants(parent: number, name: string): readonly number[] {
  const processes = readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const pid = Number(entry);
      return [{ pid, parent: Number(statOf(pid)[1]), name: readFileSync(`/proc/${entry}/comm`, 'utf8').trim() }];
    } catch {
      return [];
    }
  });
  const below = (of: number): readonly number[] =>
    processes.flatMap((one) => (one.parent === of ? [...(one.name === name ? [one.pid] : []), ...below(one.pid)] : []));
  return below(parent);
}

/** The fields of `/proc/<pid>/stat` behind the name, which may itself contain anything. */
function statOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
