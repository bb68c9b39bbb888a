/**
 * Repositories that left a source: deleted there, renamed, or not selected any more. Their tags are deleted as `prune`
 * has it, within the same limit as single tags.
 */
import { deleteTags } from '../../bucket/delete-tags.ts';
import { listTags } from '../../bucket/survey.ts';
import { CommandError } from '../cli/errors.ts';
import { failureOf, type RepositoryReport, reportOf } from './outcome.ts';
import { keepImmutable } from './prune.ts';
import { passedOver, type SyncOptions } from './run.ts';
import type { SyncJob } from './sources.ts';
import type { SyncedRepository, SyncState } from './state.ts';
import type { Listing } from './tracked.ts';

/** A repository that left. */
interface Departure {
  readonly id: string;
  readonly record: SyncedRepository;
  readonly why: string;
  /** Whether the source has it under another name now. */
  readonly renamed: boolean;
}

/**
 * Deletes what left `listing`. `before`: the records of the last sync; `done`: the identities that were synced now
 * without a failure. Removes the records of deleted repositories from `state`.
 */
export async function followDepartures(
  listing: Listing,
  {
    before,
    state,
    done,
  }: { before: ReadonlyMap<string, SyncedRepository>; state: SyncState; done: ReadonlySet<string> },
  jobs: readonly SyncJob[],
  options: SyncOptions,
): Promise<readonly RepositoryReport[]> {
  const departures = departuresOf(listing, before, jobs, done);
  const filled = new Set(jobs.flatMap((job) => (job.kind === 'repository' ? [job.to] : [])));
  const leaving: Departure[] = [];
  const reports: RepositoryReport[] = [];
  for (const departure of departures) {
    const { id, record, renamed, why } = departure;
    // Another repository of the source has the name now.
    if (filled.has(record.to)) {
      if (!renamed) state.repositories.delete(id);
    } else if (listing.pruneOf(record.from) === 'none') {
      const report = reportOf(`${listing.title}: ${record.from}`, record.to);
      report.warnings.push(`${record.from} ${why}; its tags under ${record.to} stay, because "prune" is none`);
      reports.push(report.done());
    } else leaving.push(departure);
  }
  const limit = Math.max(1, before.size * options.pruneLimit);
  if (leaving.length > limit) {
    for (const departure of leaving) keepRecord(departure, state);
    const share = `${String(Math.ceil((leaving.length * 100) / before.size))}%`;
    const report = reportOf(listing.title, undefined);
    const error = new CommandError(
      `${String(leaving.length)} of the ${String(before.size)} repositories of ${listing.title} are gone ` +
        `(${leaving
          .map(({ record }) => record.from)
          .slice(0, 5)
          .join(', ')}${leaving.length > 5 ? ' …' : ''}), which is ` +
        `more than ${String(Math.round(options.pruneLimit * 100))} percent, so nothing was pruned`,
      {
        hint: `If the account may still read all of them, and they were really removed: gantry sync … --prune-limit ${share}`,
      },
    );
    return [...reports, { ...report.done(), failures: [failureOf(error)] }];
  }
  for (const departure of leaving) reports.push(await remove(listing, departure, state, options));
  return reports;
}

function departuresOf(
  listing: Listing,
  before: ReadonlyMap<string, SyncedRepository>,
  jobs: readonly SyncJob[],
  done: ReadonlySet<string>,
): readonly Departure[] {
  const current = new Map(
    jobs.flatMap((job) =>
      job.kind === 'repository' && job.tracked?.listing.id === listing.id ? [[job.tracked.id, job.to] as const] : [],
    ),
  );
  // By name, not by identity.
  const records = [...before].sort(([, a], [, b]) => (a.from < b.from ? -1 : 1));
  return records.flatMap(([id, record]): readonly Departure[] => {
    const to = current.get(id);
    if (to !== undefined)
      return to === record.to || !done.has(id) ? [] : [{ id, record, why: `is ${to} now`, renamed: true }];
    const name = listing.all.get(id);
    if (name === undefined) return [{ id, record, why: `is no longer at ${listing.title}`, renamed: false }];
    // One that is selected and could not be opened stays.
    const isLeaving = !listing.isSelected(name) && listing.pruneOf(record.from) === 'unselected';
    return isLeaving ? [{ id, record, why: 'is no longer selected', renamed: false }] : [];
  });
}

/** The old name of a renamed repository is known to the next sync only by the old record. */
function keepRecord({ id, record, renamed }: Departure, state: SyncState): void {
  if (renamed) state.repositories.set(id, record);
}

async function remove(
  listing: Listing,
  departure: Departure,
  state: SyncState,
  options: SyncOptions,
): Promise<RepositoryReport> {
  const { store, dryRun, signal, onTag } = options;
  const { id, record, renamed } = departure;
  const { from, to } = record;
  const report = reportOf(`${listing.title}: ${from}`, to);
  try {
    if (!listing.all.has(id) && !(await listing.hasLeft(id))) {
      report.warnings.push(`${from} was missing in the list of ${listing.title} but still exists, so it is kept`);
      return report.done();
    }
    const onDeleted = (tag: Parameters<NonNullable<typeof onTag>>[0]['tag']): void => {
      report.tags.pruned.push(tag);
      onTag?.({ name: to, tag, what: 'pruned' });
    };
    const tags = await keepImmutable([...(await listTags(store, to)).keys()], { report, options, to });
    if (dryRun) for (const tag of tags) onDeleted(tag);
    else {
      await deleteTags(store, to, tags, { signal, onDeleted });
      if (!renamed) state.repositories.delete(id);
    }
  } catch (error) {
    keepRecord(departure, state);
    report.failures.push(failureOf(passedOver(error, options)));
  }
  return report.done();
}
