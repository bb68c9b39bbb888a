import { DatabaseSync } from 'node:sqlite';
import { CommandError } from '../cli/errors.ts';
import { messageOf } from '../../registry/values/error-message.ts';

/** A held lock. */
export interface Lock {
  release(): void;
}

// sqlite3.h: SQLITE_BUSY.
const SQLITE_BUSY = 5;

/**
 * Takes the lock; null if it is held already, by this or another process. Node has no file locks, so it uses those of
 * SQLite, which the operating system releases with the process, even after `kill -9`. Throws {@link CommandError} if
 * the file cannot be written.
 */
export function tryLock(path: string): Lock | null {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    if (database?.isOpen === true) database.close();
    if (isSqliteBusy(cause)) return null;
    throw new CommandError(`the lock ${path} cannot be taken (${messageOf(cause)})`, {
      hint: 'Name another folder with --state, or fix its permissions.',
      cause,
    });
  }
  const held = database;
  return {
    release: () => {
      if (held.isOpen) held.close();
    },
  };
}

/** Whether SQLite failed because another connection holds the database's lock. */
export function isSqliteBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === SQLITE_BUSY;
}
