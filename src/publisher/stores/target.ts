import type { WriteStore } from '../../registry/store.ts';
import { PROJECT } from '../project.ts';

/** Where a command writes: an open bucket. */
export interface Target {
  readonly store: WriteStore;
  /** For messages: `local store (.wrangler/state)` or `s3://bucket`. */
  readonly title: string;
  /** Lets go of processes, connections and locks. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Opens what `--to` names: `local` (in the folder `state`), or `s3://bucket[/prefix]` (credentials and endpoint from `env`).
 * Throws CommandError where that cannot be done, also where the bucket does not answer.
 */
export type OpenTarget = (options: {
  readonly to: string;
  readonly state?: string;
  readonly env: NodeJS.ProcessEnv;
}) => Promise<Target>;

/** Where the local store is unless `--state` says otherwise: where `wrangler dev` in this package keeps it too. */
export const DEFAULT_STATE = `${PROJECT}.wrangler/state`;
