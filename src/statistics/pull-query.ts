/**
 * Questions to the dataset of pulls, in the SQL of Analytics Engine. Sampling is accounted for: a row stands for
 * `_sample_interval` pulls. Source: Cloudflare's documentation, "Workers Analytics Engine · SQL API" and "SQL reference".
 */
import type { RepositoryName, Tag } from '../registry/name.ts';
import { objectOf } from '../registry/values/json.ts';
import { indexOf, PULL_COLUMNS, RETENTION_DAYS } from './pull-event.ts';

/** What pulls can be counted by. */
export type PullColumn = keyof typeof PULL_COLUMNS | 'day';

/** A question: the pulls of the last days, counted by some columns. */
export interface PullQuestion {
  /** Null: all repositories. */
  readonly name: RepositoryName | null;
  /** Null: all tags. */
  readonly tag: Tag | null;
  /** Days up to and including today, in UTC; from 1 to {@link RETENTION_DAYS}. */
  readonly days: number;
  readonly by: readonly PullColumn[];
  /** Maximum number of rows; the largest counts come first. */
  readonly limit: number;
}

/** A row of the answer: the columns that were counted by, and the pulls. */
export type PullCount = Readonly<Partial<Record<PullColumn, string>>> & { readonly pulls: number };

/** A dataset's name that cannot be used in SQL. */
export class DatasetNameError extends Error {
  override readonly name = 'DatasetNameError';
}

/** Checks a dataset's name. Throws {@link DatasetNameError}. */
export function parseDatasetName(text: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(text)) return text;
  throw new DatasetNameError(
    `${JSON.stringify(text)} is not a valid name of a dataset. Use letters, digits and "_", and begin with a letter.`,
  );
}

/** The first day of a question, as `2026-11-28`. */
export function firstDay(days: number, now: Date): string {
  return new Date(now.getTime() - (days - 1) * DAY_MS).toISOString().slice(0, 10);
}

/** The question as SQL. `dataset`: a name that {@link parseDatasetName} accepts. */
export function pullQuery({ name, tag, days, by, limit }: PullQuestion, dataset: string, now: Date): string {
  if (!Number.isSafeInteger(days) || days < 1 || days > RETENTION_DAYS) throw new RangeError(`${String(days)} days`);
  const where = [
    `timestamp >= toDateTime('${firstDay(days, now)} 00:00:00')`,
    // The index is what data points are sampled by, so it makes the count of one repository exact.
    ...(name === null ? [] : [`index1 = ${quote(indexOf(name))}`, `${PULL_COLUMNS.name} = ${quote(name)}`]),
    ...(tag === null ? [] : [`${PULL_COLUMNS.tag} = ${quote(tag)}`]),
  ];
  return [
    `SELECT ${[...by.map((column) => `${expressionOf(column)} AS ${column}`), 'SUM(_sample_interval) AS pulls'].join(', ')}`,
    `FROM ${parseDatasetName(dataset)}`,
    `WHERE ${where.join(' AND ')}`,
    `GROUP BY ${by.join(', ')}`,
    'ORDER BY pulls DESC',
    `LIMIT ${String(limit)}`,
  ].join('\n');
}

/** Reads the answer of the SQL API (`FORMAT JSON`, the default); null if it is not one. */
export function readPullCounts(answer: unknown, by: readonly PullColumn[]): readonly PullCount[] | null {
  const { data } = objectOf(answer);
  if (!Array.isArray(data)) return null;
  const counts: PullCount[] = [];
  for (const row of data as readonly unknown[]) {
    const fields = objectOf(row);
    // 64-bit integers are text in JSON.
    const pulls = Number(fields.pulls);
    if (!Number.isFinite(pulls)) return null;
    const columns = by.map((column) => [column, fields[column]] as const);
    if (columns.some(([, value]) => typeof value !== 'string')) return null;
    counts.push({ ...(Object.fromEntries(columns) as Partial<Record<PullColumn, string>>), pulls });
  }
  return counts;
}

const DAY_MS = 86_400_000;

function expressionOf(column: PullColumn): string {
  return column === 'day' ? "formatDateTime(timestamp, '%Y-%m-%d')" : PULL_COLUMNS[column];
}

/** A text as a literal. The grammars of names and tags have neither quotes nor backslashes; anything else is an error. */
function quote(text: string): string {
  if (!/^[\w./-]*$/.test(text)) throw new RangeError(`${JSON.stringify(text)} cannot be a literal`);
  return `'${text}'`;
}
