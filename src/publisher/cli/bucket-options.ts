/** The options of every command that opens a bucket. */
import { type Command, InvalidArgumentError } from 'commander';
import { noteRealms, withPreparedWrites } from '../../bucket/format.ts';
import { withRealms } from '../../bucket/realm-mark.ts';
import type { RealmTable } from '../../registry/realms.ts';
import { readRealmTable } from './realm-table.ts';
import { DEFAULT_STATE, type Environment } from './environment.ts';
import { usageError } from './errors.ts';
import { refuseLostRealms } from './lost-realms.ts';
import { type OpenTarget, type Target } from '../stores/target.ts';

/** The options that {@link addBucketOptions} adds. */
export interface BucketOptions {
  readonly to: string;
  readonly state: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly profile?: string;
  readonly config?: string;
  readonly json?: true;
}

/** What `--json` does in commands that report while they work. */
export const JSON_EVENTS = 'print JSON, one event a line; the last line is the result';

/** Adds `--to`, `--state`, the options of S3, `--config` and `--json`. */
export function addBucketOptions(command: Command, json = 'print JSON'): Command {
  return command
    .option('--to <target>', 'the bucket: local, or s3://BUCKET', 'local')
    .option('--state <folder>', 'the folder of the local store', DEFAULT_STATE)
    .option('--endpoint <url>', 'the S3 endpoint (default: $AWS_ENDPOINT_URL, else that of the profile)')
    .option('--region <name>', 'the region of the S3 bucket (default: $AWS_REGION, else that of the profile)')
    .option('--profile <name>', 'the AWS profile with the credentials (default: $AWS_PROFILE)')
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
  const { endpoint, region, profile } = options;
  refuseS3Options(options);
  const realms = await readRealmTable(options.config);
  const target = await openTarget({
    to: options.to,
    state: options.state,
    mustExist: options.create !== true,
    env: environment.variables,
    s3: { endpoint, region, profile },
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

/** Options that would have no effect are a mistake: the bucket is probably not the one that is meant. */
function refuseS3Options({ to, endpoint, region, profile }: BucketOptions): void {
  const given = Object.entries({ endpoint, region, profile }).find(([, value]) => value !== undefined);
  if (given === undefined || to.startsWith('s3://')) return;
  throw usageError(`--${given[0]} has no meaning for --to ${to}`, 'Add --to s3://BUCKET, or leave the option out.');
}

/** Parses the value of `--jobs`: blobs sent in parallel. */
export function parseJobs(text: string): number {
  const jobs = Number(text);
  if (!Number.isSafeInteger(jobs) || jobs < 1 || jobs > 64)
    throw new InvalidArgumentError('Give a number from 1 to 64.');
  return jobs;
}
