import type { WriteStore } from '../../registry/store.ts';
import type { S3Overrides } from './s3/server.ts';

/** An open bucket that a command reads and writes. */
export interface Target {
  readonly store: WriteStore;
  /** For messages: `local store (.wrangler/state)` or `s3://bucket`. */
  readonly title: string;
  /** Releases processes, connections and locks. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Opens the bucket of `--to`: `local` (in the folder `state`), or `s3://bucket[/prefix]` (configured by `s3` and `env`).
 * With `mustExist` a missing local store is an error, otherwise it is created. Throws CommandError if the bucket cannot
 * be opened or does not answer.
 */
export type OpenTarget = (options: {
  readonly to: string;
  readonly state?: string;
  readonly mustExist?: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly s3?: S3Overrides;
}) => Promise<Target>;
