import type { WriteStore } from '../../registry/store.ts';

/** Where a command writes: an open bucket. */
export interface Target {
  readonly store: WriteStore;
  /** For messages: `local store (.wrangler/state)` or `s3://bucket`. */
  readonly title: string;
  /** Lets go of processes, connections and locks. Safe to call twice. */
  close(): Promise<void>;
}
