/** The options that every command which opens a bucket has. */
import type { Command } from 'commander';
import type { RealmTable } from '../../registry/realms.ts';
import { readRealmTable } from './realm-table.ts';
import type { Environment } from './environment.ts';
import { DEFAULT_STATE, type OpenTarget, type Target } from '../stores/target.ts';

/** What {@link addBucketOptions} adds. */
export interface BucketOptions {
  readonly to: string;
  readonly state: string;
  readonly config?: string;
  readonly json?: true;
}

/** Adds `--to`, `--state`, `--config` and `--json`. */
export function addBucketOptions(command: Command): Command {
  return command
    .option('--to <target>', 'the bucket: local, or s3://BUCKET', 'local')
    .option('--state <folder>', 'where the local store is', DEFAULT_STATE)
    .option('--config <file>', 'the wrangler.toml with the realm table (default: ./wrangler.toml)')
    .option('--json', 'print JSON');
}

/** An open bucket and the realm table that the Worker has. */
export interface OpenBucket {
  readonly target: Target;
  readonly realms: RealmTable;
}

/** Opens the bucket for `use`, and closes it whatever happens. */
export async function withBucket<T>(
  options: BucketOptions,
  openTarget: OpenTarget,
  environment: Environment,
  use: (bucket: OpenBucket) => Promise<T>,
): Promise<T> {
  const realms = await readRealmTable(options.config);
  const target = await openTarget({ to: options.to, state: options.state, env: environment.variables });
  try {
    return await use({ target, realms });
  } finally {
    await target.close();
  }
}
