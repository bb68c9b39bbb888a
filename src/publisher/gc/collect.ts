/** Garbage collection: survey, mark, note, delete. `journal.ts` explains this order. */
import { randomUUID } from 'node:crypto';
import type { Digest } from '../../registry/digest.ts';
import { CATALOG_KEY } from '../../registry/keys.ts';
import type { ReadTag } from '../../bucket/read-tag.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { RealmTable } from '../../registry/realms.ts';
import type { ObjectInfo, ReadStore, WriteStore } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import { sweep, type SweepOptions, waitOf } from './sweep.ts';
import { type ExpiredTag, expireTag, isExpired } from './expire.ts';
import { type JournalVersion, readJournal, waitForSweep, writeJournal } from './journal.ts';
import {
  type Amount,
  amountOf,
  type Blocked,
  type Garbage,
  mark,
  type MarkedRepository,
  type Marking,
} from './mark.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import {
  listBlobs,
  listRepositories,
  READS_AT_ONCE,
  readRecords,
  type RepositoryListing,
} from '../../bucket/survey.ts';
import { readSettings } from '../../bucket/format.ts';
import { protectionOf } from '../../bucket/settings/immutable-tags.ts';
import { refuseNewerList } from '../../bucket/lists.ts';
import { readReferrersRecord } from '../../bucket/referrers.ts';

/** The options of {@link collect}. */
export interface CollectOptions extends SweepOptions {
  readonly table: RealmTable;
  /** How long an object must be known to be unreferenced before it is deleted, in milliseconds. */
  readonly grace: number;
  /** Delete; otherwise report only. */
  readonly remove: boolean;
  readonly droppedRealms?: ReadonlySet<string>;
}

/** What a run found and did. */
export interface CollectReport {
  readonly kept: Marking['kept'];
  /** Fetched tags that nobody pulled for long: removed, or to be removed. */
  readonly expired: readonly ExpiredTag[];
  readonly blocked: readonly Blocked[];
  /** All unreferenced objects, by kind. */
  readonly unreferenced: Readonly<Record<Garbage['kind'], Amount>>;
  /** Those past their grace period, in the order of deletion: deleted, or to be deleted. */
  readonly due: readonly { readonly kind: Garbage['kind']; readonly key: string; readonly size: number }[];
  /**
   * Those within their grace period: a run after `after` (milliseconds since 1970) deletes them unless they are used
   * again. Null if there are none.
   */
  readonly waiting: (Amount & { readonly after: number }) | null;
  readonly deleted: Amount;
  /** Keys that are not in gantry's layout. */
  readonly strange: readonly string[];
}

const ATTEMPTS = 10;

/**
 * Collects garbage. Throws {@link CommandError} if another run is active, or publishers change the bucket each time.
 */
export async function collect(store: WriteStore, options: CollectOptions): Promise<CollectReport> {
  const now = options.now ?? Date.now;
  const expired: ExpiredTag[] = [];
  // Storage that enforces no deadlines is refused before anything is noted, and not between marking and noting: what is
  // published then is protected by the grace period alone.
  if (options.remove) await store.deleteFenced?.([], { from: new Date(now()), seconds: 1 });
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    // Read before marking: a publisher in between changes it, and the write below fails.
    const before = await settled(store, options, now);
    const { marking, strange } = await survey(store, options, now, expired);
    const at = now();
    const due: Garbage[] = [];
    const unreferenced = new Map<string, number>();
    for (const one of marking.garbage) {
      // Sent again since it was noted: a publisher may be about to use it.
      const since = Math.min(
        at,
        Math.max(before.journal.unreferenced.get(one.object.key) ?? at, one.object.uploaded.getTime()),
      );
      if (since <= at - options.grace) due.push(one);
      else unreferenced.set(one.object.key, since);
    }
    const report = reportOf({ marking, strange, expired }, due, unreferenced, options.grace);
    if (!options.remove) return report;
    const keys = due.map(({ object }) => object.key);
    const sweeping = keys.length === 0 ? null : { id: randomUUID(), beat: 0, keys };
    if (sweeping === null && unreferenced.size === 0 && before.journal.unreferenced.size === 0) return report;
    const noted = await writeJournal(store, { sweeps: before.journal.sweeps, sweeping, unreferenced }, before);
    if (noted === null) continue;
    if (sweeping !== null) await sweep(store, due, sweeping.id, noted, options);
    return { ...report, deleted: amountOf(due.map(({ object }) => object)) };
  }
  throw new CommandError('publishers changed the bucket during every attempt', {
    hint: 'Nothing was deleted. Run gc when less is being published.',
  });
}

/** The journal without an active sweep. A dry run reads it as it is. */
async function settled(store: WriteStore, options: CollectOptions, now: () => number): Promise<JournalVersion> {
  const journal = await readJournal(store);
  if (journal.journal.sweeping === null || !options.remove) return journal;
  options.onProgress?.('waiting for another gc to end', 0, 0);
  return waitForSweep(store, journal, { wait: waitOf(options), now, leaseMs: options.leaseMs });
}

/** What is in the bucket; `expired`: tags that this run removed, or would remove. */
interface Survey {
  readonly marking: Marking;
  readonly strange: readonly string[];
  readonly expired: readonly ExpiredTag[];
}

async function survey(
  store: WriteStore,
  options: CollectOptions,
  now: () => number,
  expired: ExpiredTag[],
): Promise<Omit<Survey, 'expired'>> {
  // Blobs first: blobs that are sent during the survey are not listed, so they are not mistaken for garbage.
  const { blobs, strange } = await listBlobs(store);
  const listed = await listRepositories(store);
  // A newer gantry may need objects in ways that this one does not know.
  await refuseNewerList(store, CATALOG_KEY);
  const total = [...listed.repositories.values()].reduce(
    (sum, { tags, manifests, referrers }) => sum + tags.size + manifests.size + referrers.size,
    0,
  );
  let done = 0;
  const onRead = (): void => {
    done += 1;
    options.onProgress?.('reading records', done, total);
  };
  const { immutable } = await readSettings(store);
  const repositories = new Map<RepositoryName, MarkedRepository>();
  for (const [name, listing] of listed.repositories) {
    if (listing.tagList !== undefined) await refuseNewerList(store, listing.tagList.key);
    const old: [Tag, ObjectInfo][] = [];
    const onTag = (tag: Tag, reading: ReadTag): void => {
      // The upstream may have moved an immutable tag: it could not be fetched again as it is.
      if (isExpired(reading, now()) && protectionOf(immutable, name, tag) === null) old.push([tag, reading.info]);
    };
    const records = await readRecords(store, listing, { onRead, onTag });
    for (const [tag, info] of old) {
      if (options.remove && !(await expireTag(store, { name, tag }, info, now()))) continue;
      records.tags.set(tag, []);
      expired.push({ name, tag });
    }
    repositories.set(name, { listing, records, referrers: await readReferrers(store, listing, onRead) });
  }
  const marking = mark({
    repositories,
    blobs,
    table: options.table,
    droppedRealms: options.droppedRealms ?? new Set(),
  });
  return { marking, strange: [...strange, ...listed.strange] };
}

async function readReferrers(
  store: ReadStore,
  listing: RepositoryListing,
  onRead: () => void,
): Promise<Map<Digest, readonly Digest[] | null>> {
  const referrers = new Map<Digest, readonly Digest[] | null>();
  await forEachLimit(listing.referrers, READS_AT_ONCE, async ([subject, { key }]) => {
    const record = await readReferrersRecord(store, key);
    if (record !== null) referrers.set(subject, record.descriptors?.map(({ digest }) => digest) ?? null);
    onRead();
  });
  return referrers;
}

function reportOf(
  { marking, strange, expired }: Survey,
  due: readonly Garbage[],
  waiting: ReadonlyMap<string, number>,
  grace: number,
): CollectReport {
  const of = (kind: Garbage['kind']): Amount =>
    amountOf(marking.garbage.filter((one) => one.kind === kind).map(({ object }) => object));
  const waits = marking.garbage.filter(({ object }) => waiting.has(object.key)).map(({ object }) => object);
  return {
    kept: marking.kept,
    expired,
    blocked: marking.blocked,
    unreferenced: {
      referrers: of('referrers'),
      signatures: of('signatures'),
      manifest: of('manifest'),
      blob: of('blob'),
    },
    due: due.map(({ kind, object }) => ({ kind, key: object.key, size: object.size })),
    waiting:
      waits.length === 0
        ? null
        : { ...amountOf(waits), after: [...waiting.values()].reduce((first, since) => Math.min(first, since)) + grace },
    deleted: { objects: 0, bytes: 0 },
    strange,
  };
}
