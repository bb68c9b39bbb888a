/** The sync of one repository: its options, its state, and which errors it passes over. */
import type { createLimit } from '../../bucket/concurrency.ts';
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { RealmTable } from '../../registry/realms.ts';
import { StorageError, type WriteStore } from '../../registry/store.ts';
import type { EventSink } from '../publish/events.ts';
import type { Publisher } from '../publish/publish.ts';
import type { reportOf, TagOutcome } from './outcome.ts';
import type { PublishedLookup } from './published.ts';
import type { SyncJob } from './sources.ts';

/** The options of {@link sync}. */
export interface SyncOptions {
  readonly store: WriteStore;
  readonly realms: RealmTable;
  /**
   * Called when the first tag is written, since most syncs write none. An error ends the sync if it aborts `signal`.
   */
  readonly publisher: () => Promise<Publisher>;
  /** Plan only, write nothing. */
  readonly dryRun: boolean;
  /** Publish tags that did not move as well: after a change of settings, or for signatures that were added later. */
  readonly full: boolean;
  /** The greatest share of a repository's tags that may be pruned, from 0 to 1; one tag may be pruned always. */
  readonly pruneLimit: number;
  /** The time that retention rules count from, in milliseconds since 1970; for tests. */
  readonly now?: (() => number) | undefined;
  readonly onEvent: EventSink;
  /** Called after each tag. */
  readonly onTag?: (outcome: {
    readonly name: RepositoryName;
    readonly tag: Tag;
    readonly what: TagOutcome;
    /** What was published under it; absent if nothing was. */
    readonly digests?: readonly Digest[];
  }) => void;
  readonly signal?: AbortSignal | undefined;
}

/** The sync of one repository. */
export interface Run {
  readonly job: Extract<SyncJob, { kind: 'repository' }>;
  readonly options: SyncOptions;
  readonly limit: ReturnType<typeof createLimit>;
  readonly report: ReturnType<typeof reportOf>;
  readonly published: PublishedLookup;
  /** All tags of the source. */
  readonly listed: ReadonlySet<Tag>;
  /** Manifests whose referrers were compared: whether there are new ones. */
  readonly compared: Map<Digest, Promise<boolean>>;
  /** The source refuses all further requests. */
  stopped: boolean;
}

/** An error for the report. Rethrows errors that end all work. */
export function passedOver(error: unknown, { signal }: SyncOptions): Error {
  signal?.throwIfAborted();
  if (error instanceof StorageError && (error.code === 'STORAGE_DENIED' || error.code === 'STORAGE_FULL')) throw error;
  // Faults in gantry are not hidden in a report.
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) throw error;
  return error;
}
