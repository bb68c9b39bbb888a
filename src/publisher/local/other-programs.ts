/**
 * Other programs that have the objects of a state folder open. Miniflare takes no lock: two of them over one folder
 * write beside each other, and objects are lost.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../cli/errors.ts';
import { readAnnouncement } from './announcement.ts';
import type { StateFolder } from './folder.ts';
import { isSqliteBusy } from './lock.ts';

/**
 * How long a program that was ended may take to let go of its files, and how often that is checked, in milliseconds.
 */
const LET_GO_MS = 2_000;
const CHECK_EVERY_MS = 50;

/**
 * Makes sure that no other program has the objects of the folder open. Ends the simulator that a killed process left
 * behind. The caller holds the folder's lock. Throws {@link CommandError} if another program has them open.
 */
export async function claimObjects(folder: StateFolder): Promise<void> {
  // The process that announced them no longer holds the lock.
  for (const pid of (await readAnnouncement(folder.announcement))?.simulators ?? []) {
    if (await hasOpen(pid, folder.persist)) kill(pid);
  }
  for (let waited = 0; await isOpenElsewhere(folder.persist); waited += CHECK_EVERY_MS) {
    if (waited >= LET_GO_MS) throw await inUse(folder);
    await sleep(CHECK_EVERY_MS);
  }
}

async function inUse(folder: StateFolder): Promise<CommandError> {
  const pids = await whoHasOpen(folder.persist);
  const program = pids.length === 0 ? 'another program' : `another program (process ${pids.join(', ')})`;
  return new CommandError(
    `the local store (${folder.title}) is open in ${program}, for example \`wrangler dev\`; two would damage it`,
    { hint: 'End that program, or name another folder with --state.' },
  );
}

/**
 * Whether a database of Miniflare's buckets cannot be had alone. It creates one for each bucket, and for their list.
 */
async function isOpenElsewhere(persist: string): Promise<boolean> {
  const folder = join(persist, 'r2', 'miniflare-R2BucketObject');
  const names = await readdir(folder).catch(() => []);
  return names.some((name) => name.endsWith('.sqlite') && !canBeHadAlone(join(folder, name)));
}

function canBeHadAlone(path: string): boolean {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    // In WAL mode, a plain exclusive transaction does not exclude readers.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK');
    return true;
  } catch (error) {
    // Any other failure is the simulator's to report.
    return !isSqliteBusy(error);
  } finally {
    if (database?.isOpen === true) database.close();
  }
}

/** The processes that have files below the folder open. Linux only; elsewhere none is found. */
async function whoHasOpen(folder: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const open = await Promise.all(
    pids.map((pid) => (pid === process.pid ? Promise.resolve(false) : hasOpen(pid, folder))),
  );
  return pids.filter((_, index) => open[index]);
}

async function hasOpen(pid: number, folder: string): Promise<boolean> {
  const files = `/proc/${String(pid)}/fd`;
  const names = await readdir(files).catch(() => []);
  const targets = await Promise.all(names.map((name) => readlink(join(files, name)).catch(() => '')));
  return targets.some((target) => target.startsWith(folder + sep)) && (await isWorkerd(pid));
}

async function isWorkerd(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${String(pid)}/comm`, 'utf8').catch(() => '')).startsWith('workerd');
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
