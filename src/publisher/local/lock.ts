import { DatabaseSync } from 'node:sqlite';
import { CommandError } from '../cli/errors.ts';

/** A lock that is held. */
export interface Lock {
  release(): void;
}

// sqlite3.h: SQLITE_BUSY.
const SQLITE_BUSY = 5;

/**
 * Takes the lock; null if another process (or another caller in this one) has it. Node has no file locks, but its SQLite has, and they end with the process even after
 * `kill -9`: nothing is ever stale. Throws {@link CommandError} where the file cannot be written.
 */
export function tryLock(path: string): Lock | null {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    if (database?.isOpen === true) database.close();
    if ((cause as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw new CommandError(
      `the lock ${path} cannot be taken (${cause instanceof Error ? cause.message : String(cause)})`,
      {
        hint: 'Name another folder with --state, or mend its rights.',
        cause,
      },
    );
  }
  const held = database;
  return {
    release: () => {
      if (held.isOpen) held.close();
    },
  };
}
