/**
 * Data points of the local registry, in a SQLite file that answers the SQL of Analytics Engine as far as this project
 * uses it. Cloudflare's table has the same columns; here each row stands for one pull.
 */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type DataPoint, PULL_COLUMNS, RETENTION_DAYS } from '../../statistics/pull-event.ts';
import type { PullStore } from '../local/simulator.ts';

/** The name of the local dataset. */
export const LOCAL_DATASET = 'gantry_pulls';

/** The open file. */
export interface LocalEvents extends PullStore {
  /** The same as `write`, with a time and the number of pulls that the row stands for. */
  writeAt(point: DataPoint, time: Date, sampleInterval: number): void;
  close(): void;
}

/** Opens the file, and creates it if it does not exist. Rows older than Cloudflare keeps them are deleted. */
export function openLocalEvents(path: string, now: Date = new Date()): LocalEvents {
  const database = new DatabaseSync(path);
  const blobs = Object.values(PULL_COLUMNS);
  // Several commands may read while the server writes.
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS ${LOCAL_DATASET} (
      timestamp TEXT NOT NULL, _sample_interval INTEGER NOT NULL, index1 TEXT NOT NULL,
      ${blobs.map((blob) => `${blob} TEXT NOT NULL`).join(', ')}) STRICT;
    CREATE INDEX IF NOT EXISTS by_time ON ${LOCAL_DATASET} (timestamp);`);
  database
    .prepare(`DELETE FROM ${LOCAL_DATASET} WHERE timestamp < ?`)
    .run(timestampOf(new Date(now.getTime() - RETENTION_DAYS * 86_400_000)));
  addFunctions(database);
  const insert = database.prepare(`INSERT INTO ${LOCAL_DATASET} VALUES (?, ?, ?${', ?'.repeat(blobs.length)})`);
  const writeAt: LocalEvents['writeAt'] = ({ indexes, blobs: values }, time, sampleInterval) => {
    insert.run(timestampOf(time), sampleInterval, indexes[0] ?? '', ...blobs.map((_, at) => values[at] ?? ''));
  };
  return {
    dataset: LOCAL_DATASET,
    write: (point) => writeAt(point, new Date(), 1),
    writeAt,
    query: (sql) => {
      const data = database.prepare(sql).all();
      return { data, rows: data.length };
    },
    close: () => database.close(),
  };
}

/** The answer to a question from the file; no rows if there is no file. */
export function queryLocalEvents(path: string, sql: string): unknown {
  // Counting was never switched on.
  if (!existsSync(path)) return { data: [], rows: 0 };
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    database.exec('PRAGMA busy_timeout = 5000');
    addFunctions(database);
    return { data: database.prepare(sql).all() };
  } finally {
    database.close();
  }
}

/** Functions of Analytics Engine that SQLite does not have ("SQL reference · Date and time functions"). */
function addFunctions(database: DatabaseSync): void {
  const options = { deterministic: true } as const;
  database.function('toDateTime', options, (text) => text);
  database.function('formatDateTime', options, (time, format) => {
    if (format !== '%Y-%m-%d' || typeof time !== 'string') throw new TypeError('formatDateTime: only %Y-%m-%d');
    return time.slice(0, 10);
  });
}

/** `2026-11-28 12:00:00`, in UTC. */
function timestampOf(time: Date): string {
  return time.toISOString().slice(0, 19).replace('T', ' ');
}
