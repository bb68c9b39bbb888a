/**
 * Syncing: brings many repositories up to date. Each tag costs one HEAD, and is published again only if it moved. A
 * failure of one image is reported at the end, and does not stop the others.
 */
import { OriginError } from '../../origin/errors.ts';
import { parseDigest } from '../../registry/digest.ts';
import { manifestKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { type RealmTable, realmOf } from '../../registry/realms.ts';
import { StorageError, type WriteStore } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import type { EventSink } from '../publish/events.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import { createLimit } from '../../bucket/concurrency.ts';
import { deleteTags } from '../../bucket/delete-tags.ts';
import { ImageError } from '../../bucket/image-source.ts';
import { openLists } from '../../bucket/lists.ts';
import { listTags } from '../../bucket/survey.ts';
import type { Publisher, PublishResult } from '../publish/publish.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
import { isCompanionTag } from '../../bucket/image-source.ts';
import { lookAtTags, type PublishedLookup, readTagEntries } from './published.ts';
import type { SourceTags } from '../sources/source.ts';
import { selectTags } from './select.ts';
import type { SyncJob } from './sources.ts';

/** Repositories, and tags of all of them, processed at once. */
const REPOSITORIES_AT_ONCE = 4;
const TAGS_AT_ONCE = 8;

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
  readonly onEvent: EventSink;
  /** Called after each tag. */
  readonly onTag?: (outcome: { readonly name: RepositoryName; readonly tag: Tag; readonly what: TagOutcome }) => void;
  readonly signal?: AbortSignal | undefined;
}

/** The result for a tag. `gone`: it was deleted at the source meanwhile. */
export type TagOutcome = PublishResult['change'] | 'gone' | 'failed' | 'pruned';

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
  if (job.kind === 'failed') return { ...reportOf(job.from, undefined).done(), failures: [describe(job.error)] };
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
    report.failures.push(describe(passedOver(error, options)));
  } finally {
    await source.close();
  }
  return report.done();
}

interface Run {
  readonly job: Extract<SyncJob, { kind: 'repository' }>;
  readonly options: SyncOptions;
  readonly limit: Limit;
  readonly report: ReturnType<typeof reportOf>;
  readonly published: PublishedLookup;
  /** The source refuses all further requests. */
  stopped: boolean;
}

async function syncTags(run: Run, tags: readonly Tag[]): Promise<void> {
  const { job, options, limit, report } = run;
  await forEachLimit(tags, TAGS_AT_ONCE, (tag) =>
    limit(async () => {
      if (run.stopped) {
        report.untried.push(tag);
        return;
      }
      options.signal?.throwIfAborted();
      let what: TagOutcome;
      try {
        what = await syncTag(run, tag);
      } catch (error) {
        const failure = passedOver(error, options);
        what = 'failed';
        report.failures.push({ tag, ...describe(failure) });
        // The failure applies to all tags; each would only wait to fail in the same way.
        if (failure.cause instanceof OriginError && STOPPING.has(failure.cause.code)) run.stopped = true;
      }
      report.tags[what].push(tag);
      options.onTag?.({ name: job.to, tag, what });
    }),
  );
}

const STOPPING: ReadonlySet<OriginError['code']> = new Set(['ORIGIN_RATE_LIMITED', 'ORIGIN_UNAUTHORIZED']);

async function syncTag({ job, options, report, published }: Run, tag: Tag): Promise<TagOutcome> {
  const { source, to, settings } = job;
  const there = options.full ? null : await published(tag);
  const upstream = there === null ? null : await source.digests(tag);
  if (upstream !== null && upstream.length > 0 && upstream.every((digest) => there?.has(digest) === true))
    return 'unchanged';
  const { verifySignature } = settings;
  // The source's schema 1 has a digest that nobody signed; it is derived here from what was signed.
  const opened = await source.open(tag, { schema1: settings.schema1 && verifySignature === undefined });
  if (opened === null) return 'gone';
  options.onEvent({ event: 'working', what: `${to}:${tag}` });
  try {
    // Cosign's own tags are the signatures.
    if (verifySignature !== undefined && !isCompanionTag(tag)) {
      const [{ readSignaturePolicy }, { requireSignatures }] = await Promise.all([
        import('../signatures/policy.ts'),
        import('../signatures/verify.ts'),
      ]);
      await requireSignatures(opened, await readSignaturePolicy(verifySignature), options.signal);
    }
    const { platforms, recompress, referrers, mode } = settings;
    const publisher = await options.publisher();
    const result = await publisher.publish(withoutCompanions(opened), {
      name: to,
      tag,
      platforms,
      recompress,
      referrers,
      mode,
      dryRun: options.dryRun,
    });
    report.sentBytes += result.blobs.sentBytes;
    for (const warning of result.warnings) report.warnings.push(`${to}:${tag}: ${warning}`);
    return result.change;
  } finally {
    await opened.close();
  }
}

/** Here companions are tags like any other, so that those added later are found too. */
function withoutCompanions(image: ImageSource): ImageSource {
  return {
    roots: image.roots,
    manifest: (digest) => image.manifest(digest),
    blob: (digest, options) => image.blob(digest, options),
    referrers: (subject) => image.referrers(subject),
    close: () => image.close(),
    ...(image.protected === undefined ? {} : { protected: image.protected }),
  };
}

/** Tags that belong by their name to a manifest in the bucket. */
async function companionsOf({ job, options }: Run, listed: readonly Tag[]): Promise<readonly Tag[]> {
  const found: Tag[] = [];
  await forEachLimit(listed.filter(isCompanionTag), TAGS_AT_ONCE, async (tag) => {
    const match = /^(sha256|sha512)-([0-9a-f]+)\.\w+$/.exec(tag);
    // Fallback tags are read as lists of referrers; as tags they would repeat those.
    const subject = match === null ? null : parseDigest(`${match[1] ?? ''}:${match[2] ?? ''}`);
    if (subject !== null && (await options.store.head(manifestKey(job.to, subject))) !== null) found.push(tag);
  });
  return found;
}

async function prune(
  { job, options, report, stopped }: Run,
  { tags: listed, warning }: SourceTags,
  kept: readonly Tag[],
): Promise<void> {
  const { to } = job;
  if (stopped) return;
  if (listed.length === 0) {
    report.warnings.push(
      `${job.from} lists no tags: nothing is pruned, since that is more often a fault there than meant`,
    );
    return;
  }
  // Sent by a registry whose own source fails: what it does not list may be there all the same.
  if (warning !== undefined) {
    throw new CommandError(`the tag list of ${job.from} came with a Warning (${warning}), so nothing was pruned`, {
      hint: 'The list may lack tags. Sync again when the registry answers without a Warning.',
    });
  }
  const keep: ReadonlySet<string> = new Set([...kept, ...listed.filter(isCompanionTag)]);
  const there = [...(await listTags(options.store, to)).keys()];
  const gone = there.filter((tag) => !keep.has(tag));
  const limit = options.pruneLimit;
  if (gone.length > Math.max(1, there.length * limit)) {
    const share = `${String(Math.ceil((gone.length * 100) / there.length))}%`;
    throw new CommandError(
      `${String(gone.length)} of the ${String(there.length)} tags of ${to} would be pruned, which is more than ` +
        `${String(Math.round(limit * 100))} percent, so nothing was pruned`,
      { hint: `If ${job.from} really lacks them: gantry sync … --prune-limit ${share}` },
    );
  }
  const onDeleted = (tag: Tag): void => {
    report.tags.pruned.push(tag);
    options.onTag?.({ name: to, tag, what: 'pruned' });
  };
  if (options.dryRun) for (const tag of gone) onDeleted(tag);
  else await deleteTags(options.store, to, gone, { signal: options.signal, onDeleted });
}

/** An error for the report. Rethrows errors that end all work. */
function passedOver(error: unknown, { signal }: SyncOptions): Error {
  signal?.throwIfAborted();
  if (error instanceof StorageError && (error.code === 'STORAGE_DENIED' || error.code === 'STORAGE_FULL')) throw error;
  // Faults in gantry are not hidden in a report.
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) throw error;
  return error;
}

function describe(error: Error): SyncFailure {
  return {
    message: error.message,
    ...((error instanceof CommandError || error instanceof ImageError) &&
      error.hint !== undefined && { hint: error.hint }),
  };
}

const NATURAL = new Intl.Collator('en', { numeric: true });

function reportOf(from: string, to: RepositoryName | undefined) {
  const tags: Record<TagOutcome, Tag[]> = { new: [], moved: [], unchanged: [], gone: [], failed: [], pruned: [] };
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
          : [...warnings, `${String(untried.length)} tags of ${from} were not tried any more`];
      // By name, not by the time of completion.
      for (const what of Object.values(tags)) what.sort(NATURAL.compare);
      return { from, to, listed, selected, sentBytes, tags, failures, warnings: all };
    },
  };
  return report;
}
