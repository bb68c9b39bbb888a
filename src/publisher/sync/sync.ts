/**
 * Syncing: brings many repositories up to date. Each tag costs one HEAD, and is published again only if it moved. A
 * repository whose source numbers its versions costs one request if it has the version of the last sync. A failure of
 * one image is reported at the end, and does not stop the others.
 */
import { createLimit, forEachLimit } from '../../bucket/concurrency.ts';
import { openLists } from '../../bucket/lists.ts';
import { realmOf } from '../../registry/realms.ts';
import { CommandError } from '../cli/errors.ts';
import { followDepartures } from './departures.ts';
import { failureOf, type RepositoryReport, reportOf, type SyncReport } from './outcome.ts';
import { prune } from './prune.ts';
import { lookAtTags, readTagEntries } from './published.ts';
import { passedOver, type Run, type SyncOptions } from './run.ts';
import { selectTags } from './select.ts';
import type { SyncJob } from './sources.ts';
import { readSyncState, type SyncedRepository, type SyncState, writeSyncState } from './state.ts';
import { companionsOf, syncTags, TAGS_AT_ONCE } from './tags.ts';
import { digestOfSettings, isUnchanged, type Listing, refuseWrongRealm } from './tracked.ts';

/** Repositories processed at once. */
const REPOSITORIES_AT_ONCE = 4;

/** Syncs. Throws only errors that end all work: an interrupt, or storage that is full or denies access. */
export async function sync(jobs: readonly SyncJob[], options: SyncOptions): Promise<SyncReport> {
  const limit = createLimit(TAGS_AT_ONCE);
  const reports = new Map<SyncJob, RepositoryReport>();
  const sources = await openTrackedSources(jobs, options);
  const departed: RepositoryReport[] = [];
  try {
    await forEachLimit(jobs, REPOSITORIES_AT_ONCE, async (job) => {
      reports.set(job, await syncRepository(job, options, limit, sources));
    });
    for (const { listing, before, state, done } of sources.values())
      departed.push(...(await followDepartures(listing, { before, state, done }, jobs, options)));
  } finally {
    // Also after an interrupt: what was synced completely need not be compared again.
    if (!options.dryRun) departed.push(...(await saveStates(sources, options)));
  }
  return { dryRun: options.dryRun, repositories: [...jobs.flatMap((job) => reports.get(job) ?? []), ...departed] };
}

/** A source that numbers its versions. */
interface TrackedSource {
  readonly listing: Listing;
  readonly state: SyncState;
  /** The records of the last sync. */
  readonly before: ReadonlyMap<string, SyncedRepository>;
  /** What is synced now without a failure. */
  readonly done: Set<string>;
}

type TrackedSources = ReadonlyMap<string, TrackedSource>;

async function openTrackedSources(jobs: readonly SyncJob[], { store }: SyncOptions): Promise<TrackedSources> {
  const sources = new Map<string, TrackedSource>();
  for (const job of jobs) {
    if (job.kind === 'failed' || job.tracked === undefined || sources.has(job.tracked.listing.id)) continue;
    const { listing } = job.tracked;
    const state = await readSyncState(store, listing.id);
    sources.set(listing.id, { listing, state, before: new Map(state.repositories), done: new Set() });
  }
  return sources;
}

async function saveStates(sources: TrackedSources, { store, signal }: SyncOptions): Promise<RepositoryReport[]> {
  const reports: RepositoryReport[] = [];
  for (const { listing, state, before } of sources.values()) {
    const isSame =
      state.repositories.size === before.size &&
      [...state.repositories].every(([id, record]) => before.get(id) === record);
    if (isSame) continue;
    let isWritten = false;
    try {
      isWritten = await writeSyncState(store, state);
    } catch (error) {
      // What ended the sync is what is reported.
      if (signal?.aborted !== true) throw error;
    }
    if (isWritten || signal?.aborted === true) continue;
    const report = reportOf(listing.title, undefined);
    report.warnings.push(
      `another sync of ${listing.title} ended at the same time: the next sync checks these tags again`,
    );
    reports.push(report.done());
  }
  return reports;
}

async function syncRepository(
  job: SyncJob,
  options: SyncOptions,
  limit: Run['limit'],
  sources: TrackedSources,
): Promise<RepositoryReport> {
  if (job.kind === 'failed') return { ...reportOf(job.from, undefined).done(), failures: [failureOf(job.error)] };
  const { source, settings, to, tracked } = job;
  const { store, realms } = options;
  const report = reportOf(job.from, to);
  try {
    let synced: Omit<SyncedRepository, 'tags'> | undefined;
    const own = tracked === undefined ? undefined : sources.get(tracked.listing.id);
    if (tracked !== undefined) {
      refuseWrongRealm(tracked, to, realms);
      // Read before the tags: what moves in between has a later version, and is compared by the next sync.
      const version = await tracked.version();
      if (version === null) {
        report.warnings.push(`${job.from} serves nothing yet: it has no repository`);
        return report.done();
      }
      synced = { from: tracked.name, to, version, settings: digestOfSettings(settings, to, realms) };
      // What a retention rule deletes depends on the time, too.
      const isTimed = settings.retention !== undefined;
      if (!options.full && !isTimed && (await isUnchanged(own?.before.get(tracked.id), synced, store))) {
        own?.done.add(tracked.id);
        return { ...report.done(), sameVersion: true };
      }
    }
    const given = await source.tags();
    if (given === null)
      throw new CommandError(`${source.title} does not exist`, {
        hint: 'Check the name, and that this login may see it.',
      });
    const listed = given.tags;
    const selected = selectTags(listed, settings.tags);
    report.listed = listed.length;
    report.selected = selected.length;
    // For a few tags, reading each costs less than a list that may have thousands.
    const published =
      selected.length > TAGS_AT_ONCE && !options.full ? await readTagEntries(store, to) : lookAtTags(store, to);
    const run: Run = {
      job,
      options,
      limit,
      report,
      published,
      listed: new Set(listed),
      compared: new Map(),
      stopped: false,
    };
    await syncTags(run, selected);
    const along = settings.referrers ? await companionsOf(run, listed) : [];
    await syncTags(run, along);
    // Also where nothing moved: an earlier run may have stopped between a tag and the lists.
    if (!options.dryRun) await openLists(store, { signal: options.signal }).reconcile(to, realmOf(realms, to));
    if (settings.prune !== 'none' || settings.retention !== undefined) await prune(run, given, selected);
    if (tracked !== undefined && synced !== undefined && report.failures.length === 0 && !run.stopped) {
      own?.done.add(tracked.id);
      own?.state.repositories.set(tracked.id, { ...synced, tags: selected.length });
    }
  } catch (error) {
    report.failures.push(failureOf(passedOver(error, options)));
  } finally {
    await source.close();
  }
  return report.done();
}
