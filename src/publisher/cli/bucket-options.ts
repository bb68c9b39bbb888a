/** The options of every command that opens a bucket. */
import { type Command, InvalidArgumentError } from 'commander';
import { noteRealms, withPreparedWrites } from '../../bucket/format.ts';
import { withRealms } from '../../bucket/realm-mark.ts';
import type { RealmTable } from '../../registry/realms.ts';
import { readRealmTable } from './realm-table.ts';
import { DEFAULT_STATE, type Environment } from './environment.ts';
import { refuseLostRealms } from './lost-realms.ts';
import { type OpenTarget, type Target } from '../stores/target.ts';

/** The options that {@link addBucketOptions} adds. */
export interface BucketOptions {
  readonly to: string;
  readonly state: string;
  readonly config?: string;
  readonly json?: true;
}

/** What `--json` does in commands that report while they work. */
export const JSON_EVENTS = 'print JSON, one event a line; the last line is the result';

/** Adds `--to`, `--state`, `--config` and `--json`. */
export function addBucketOptions(command: Command, json = 'print JSON'): Command {
  return command
    .option('--to <target>', 'the bucket: local, or s3://BUCKET', 'local')
    .option('--state <folder>', 'the folder of the local store', DEFAULT_STATE)
    .option('--config <file>', 'the wrangler.toml with the realm table (default: ./wrangler.toml)')
    .option('--json', json);
}

/** An open bucket and the realm table that the Worker has. */
export interface OpenBucket {
  readonly target: Target;
  readonly realms: RealmTable;
}

/**
 * Opens the bucket, calls `use`, and closes the bucket even if that throws. A local store that does not exist is an
 * error, except with `create`.
 */
export async function withBucket<T>(
  options: BucketOptions & { readonly create?: boolean },
  openTarget: OpenTarget,
  environment: Environment,
  use: (bucket: OpenBucket) => Promise<T>,
): Promise<T> {
  const realms = await readRealmTable(options.config);
  const target = await openTarget({
    to: options.to,
    state: options.state,
    mustExist: options.create !== true,
    env: environment.variables,
  });
  const store = withPreparedWrites(target.store, async () => {
    await refuseLostRealms(target, realms);
    await noteRealms(target.store, realms);
    return target.store;
  });
  try {
    return await use({ target: { ...target, store: withRealms(store, realms, null) }, realms });
  } finally {
    await target.close();
  }
}

/** Parses the value of `--jobs`: blobs sent in parallel. */
export function parseJobs(text: string): number {
  const jobs = Number(text);
  if (!Number.isSafeInteger(jobs) || jobs < 1 || jobs > 64)
    throw new InvalidArgumentError('Give a number from 1 to 64.');
  return jobs;
}
