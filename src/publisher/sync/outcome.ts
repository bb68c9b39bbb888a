/** What a sync did: for each tag, each repository, and in all. */
import { ImageError } from '../../bucket/image-source.ts';
import { ImmutableTagError } from '../../bucket/settings/immutable-tags.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { CommandError } from '../cli/errors.ts';
import type { PublishResult } from '../publish/request.ts';

/**
 * The result for a tag. `referrers`: it did not move, and what refers to it was published; `gone`: it was deleted at
 * the source meanwhile.
 */
export type TagOutcome = PublishResult['change'] | 'referrers' | 'gone' | 'failed' | 'pruned';

/** A failure for people: what happened and what to do. */
export interface SyncFailure {
  readonly tag?: Tag;
  readonly message: string;
  readonly hint?: string;
}

/** The result for a repository. */
export interface RepositoryReport {
  readonly from: string;
  /** Undefined if the repository could not be opened. */
  readonly to: RepositoryName | undefined;
  /** The number of tags at the source, and of those selected. */
  readonly listed: number;
  readonly selected: number;
  /** The source's version of the repository is that of the last sync, so that no tag was compared. */
  readonly sameVersion?: true;
  readonly tags: Readonly<Record<TagOutcome, readonly Tag[]>>;
  readonly failures: readonly SyncFailure[];
  readonly warnings: readonly string[];
  readonly sentBytes: number;
}

/** The result of a sync. */
export interface SyncReport {
  readonly dryRun: boolean;
  readonly repositories: readonly RepositoryReport[];
}

/** Whether anything failed. */
export function hasFailures({ repositories }: SyncReport): boolean {
  return repositories.some(({ failures }) => failures.length > 0);
}

/** An error as a failure of the report. */
export function failureOf(error: Error): SyncFailure {
  return {
    message: error.message,
    ...((error instanceof CommandError || error instanceof ImageError || error instanceof ImmutableTagError) &&
      error.hint !== undefined && { hint: error.hint }),
  };
}

const NATURAL = new Intl.Collator('en', { numeric: true });

/** A report of one repository in the making. */
export function reportOf(from: string, to: RepositoryName | undefined) {
  const tags: Record<TagOutcome, Tag[]> = {
    new: [],
    moved: [],
    unchanged: [],
    referrers: [],
    gone: [],
    failed: [],
    pruned: [],
  };
  const report = {
    listed: 0,
    selected: 0,
    sentBytes: 0,
    tags,
    untried: [] as Tag[],
    failures: [] as SyncFailure[],
    warnings: [] as string[],
    done(): RepositoryReport {
      const { listed, selected, sentBytes, untried, failures, warnings } = report;
      const all =
        untried.length === 0
          ? warnings
          : [...warnings, `${String(untried.length)} more tags of ${from} were not tried`];
      // By name, not by the time of completion.
      for (const what of Object.values(tags)) what.sort(NATURAL.compare);
      return { from, to, listed, selected, sentBytes, tags, failures, warnings: all };
    },
  };
  return report;
}
