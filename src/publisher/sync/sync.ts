/**
 * Syncing: brings many repositories up to date. Each tag costs one HEAD, and is published again only if it moved. A
 * failure of one image is reported at the end, and does not stop the others.
 */
import { createLimit, forEachLimit } from '../../bucket/concurrency.ts';
import { openLists } from '../../bucket/lists.ts';
import { realmOf } from '../../registry/realms.ts';
import { CommandError } from '../cli/errors.ts';
import { failureOf, type RepositoryReport, reportOf, type SyncReport } from './outcome.ts';
import { prune } from './prune.ts';
import { lookAtTags, readTagEntries } from './published.ts';
import { passedOver, type Run, type SyncOptions } from './run.ts';
import { selectTags } from './select.ts';
import type { SyncJob } from './sources.ts';
import { companionsOf, syncTags, TAGS_AT_ONCE } from './tags.ts';

/** Repositories processed at once. */
const REPOSITORIES_AT_ONCE = 4;

/** Syncs. Throws only errors that end all work: an interrupt, or storage that is full or denies access. */
export async function sync(jobs: readonly SyncJob[], options: SyncOptions): Promise<SyncReport> {
  const limit = createLimit(TAGS_AT_ONCE);
  const reports = new Map<SyncJob, RepositoryReport>();
  await forEachLimit(jobs, REPOSITORIES_AT_ONCE, async (job) => {
    reports.set(job, await syncRepository(job, options, limit));
  });
  return { dryRun: options.dryRun, repositories: jobs.flatMap((job) => reports.get(job) ?? []) };
}

type Limit = ReturnType<typeof createLimit>;

async function syncRepository(job: SyncJob, options: SyncOptions, limit: Limit): Promise<RepositoryReport> {
  if (job.kind === 'failed') return { ...reportOf(job.from, undefined).done(), failures: [failureOf(job.error)] };
  const { source, settings, to } = job;
  const report = reportOf(job.from, to);
  try {
    const given = await source.tags();
    if (given === null)
      throw new CommandError(`${source.title} is not there`, {
        hint: 'Check the name, and that this login may see it.',
      });
    const listed = given.tags;
    const selected = selectTags(listed, settings.tags);
    report.listed = listed.length;
    report.selected = selected.length;
    // For a few tags, reading each costs less than a list that may have thousands.
    const published =
      selected.length > TAGS_AT_ONCE && !options.full
        ? await readTagEntries(options.store, to)
        : lookAtTags(options.store, to);
    const run: Run = { job, options, limit, report, published, stopped: false };
    await syncTags(run, selected);
    const along = settings.referrers ? await companionsOf(run, listed) : [];
    await syncTags(run, along);
    // Also where nothing moved: an earlier run may have stopped between a tag and the lists.
    if (!options.dryRun)
      await openLists(options.store, { signal: options.signal }).reconcile(to, realmOf(options.realms, to));
    if (settings.prune !== 'none') await prune(run, given, settings.prune === 'missing' ? listed : selected);
  } catch (error) {
    report.failures.push(failureOf(passedOver(error, options)));
  } finally {
    await source.close();
  }
  return report.done();
}
