/**
 * Keeps writes off a full disk. R2's simulator gives no answer to a write that finds the disk full, and the writer
 * would wait for a time limit and try again.
 */
import { statfs } from 'node:fs/promises';
import { StorageError } from '../../registry/store.ts';
import type { WriteGuard } from '../stores/retrying.ts';

/** What the simulator's databases may need besides the bodies, in bytes. */
const SPARE = 2 ** 20;
/** How often the disk is looked at while a write has no answer, in milliseconds. */
const LOOK_EVERY_MS = 2_000;

/** A guard of the disk that has the folder; `title` for messages. */
export function guardDiskSpace(folder: string, title: string): WriteGuard {
  let inFlight = 0;
  const look = async (needed: number): Promise<StorageError | null> => {
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    if (free >= needed) return null;
    return new StorageError(
      'STORAGE_FULL',
      `the disk of the ${title} is full: ${folder} has ${String(free)} bytes free, and the write needs ${String(needed)}; ` +
        'free some space, or name a folder on another disk with --state',
    );
  };
  return async (bytes, send) => {
    const full = await look(inFlight + bytes + SPARE);
    if (full !== null) throw full;
    inFlight += bytes;
    const stop = new AbortController();
    const timer = setInterval(() => {
      look(SPARE).then(
        (now) => {
          if (now !== null) stop.abort(now);
        },
        () => undefined,
      );
    }, LOOK_EVERY_MS);
    try {
      return await send(stop.signal);
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      clearInterval(timer);
      inFlight -= bytes;
    }
  };
}
