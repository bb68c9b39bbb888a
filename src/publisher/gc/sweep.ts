/** The sweep of garbage collection: deletes what was noted in the journal, within the fence. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readReferrersRecord, writeReferrersRecord } from '../../bucket/referrers.ts';
import { untilWritten } from '../../bucket/retry.ts';
import type { Digest } from '../../registry/digest.ts';
import { parseKey, referrersPrefix } from '../../registry/keys.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { DeleteFence, WriteStore } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import {
  fenceOf,
  type Journal,
  type JournalVersion,
  LEASE_MS,
  readJournal,
  takeOver,
  writeJournal,
} from './journal.ts';
import type { Garbage } from './mark.ts';

/** How a sweep runs. Times in milliseconds. */
export interface SweepOptions {
  readonly onProgress?: (what: string, done: number, total: number) => void;
  readonly now?: () => number;
  readonly wait?: (milliseconds: number) => Promise<void>;
  /** How long a sweep may stand still; for tests. */
  readonly leaseMs?: number;
}

// The most keys of S3's DeleteObjects.
const BATCH = 1_000;
// Fenced deletions are requests of their own; a batch must be done well before its deadline.
const FENCED_BATCH = 256;
const FENCES = 5;

/** The pause of the options, or the platform's. */
export function waitOf({
  wait = (milliseconds) => sleep(milliseconds),
}: SweepOptions): (milliseconds: number) => Promise<void> {
  return wait;
}

/**
 * Deletes the keys of the sweep in order, and ends the sweep in the journal, after a failure as well where possible.
 */
export async function sweep(
  store: WriteStore,
  due: readonly Garbage[],
  id: string,
  noted: JournalVersion,
  options: SweepOptions,
): Promise<void> {
  const leaseMs = options.leaseMs ?? LEASE_MS;
  let version = noted;
  let fence: DeleteFence | null = null;
  // By the monotonic clock: a process that waits does so for a whole lease before it takes over.
  let renewed = performance.now();
  /** The fence of the journal as it is, renewed where half of its time is over. */
  const fenced = async (): Promise<DeleteFence> => {
    while (fence === null || performance.now() - renewed >= fence.seconds * 500) {
      version = await update(store, version, id, (journal) => ({
        ...journal,
        sweeping: journal.sweeping === null ? null : { ...journal.sweeping, beat: journal.sweeping.beat + 1 },
      }));
      fence = await fenceOf(store, version, leaseMs);
      renewed = performance.now();
    }
    return fence;
  };
  /** Waits until storage carries no deletion out any more that is still on its way, or was sent twice. */
  const expire = async (): Promise<void> => {
    if (fence === null || store.deleteFenced === undefined) return;
    const left = fence.seconds * 1000 - (performance.now() - renewed);
    if (left > 0) await waitOf(options)(left);
  };
  const remove = async (batch: readonly string[]): Promise<void> => {
    if (store.deleteFenced === undefined) {
      await fenced();
      await store.delete(batch);
      return;
    }
    for (let attempt = 1; (await store.deleteFenced(batch, await fenced())) === 'expired'; attempt += 1) {
      if (attempt === FENCES)
        throw new CommandError('storage refused deletions because their deadline had passed', {
          hint: 'Storage or the network was too slow, or the clocks of the storage servers differ. Run gc again.',
        });
      // A new deadline is given only while the sweep is ours.
      fence = null;
    }
  };
  let deleted = 0;
  try {
    await unlist(store, due);
    // A batch may be deleted in any order, so objects of different ranks are in different batches.
    for (const batch of batchesOf(due, store.deleteFenced === undefined ? BATCH : FENCED_BATCH)) {
      await remove(batch);
      deleted += batch.length;
      options.onProgress?.('deleting', deleted, due.length);
    }
    await expire();
    await update(store, version, id, (journal) => ({ ...journal, sweeps: journal.sweeps + 1, sweeping: null }));
  } catch (error) {
    await expire();
    await release(store, id, (options.now ?? Date.now)());
    throw error;
  }
}

function batchesOf(due: readonly Garbage[], most: number): readonly (readonly string[])[] {
  const batches: string[][] = [];
  let rank: number | undefined;
  for (const one of due) {
    const last = batches.at(-1);
    if (last === undefined || one.rank !== rank || last.length >= most) batches.push([one.object.key]);
    else last.push(one.object.key);
    rank = one.rank;
  }
  return batches;
}

/** Changes the journal while the sweep is ours; publishers may change the rest of it meanwhile. */
async function update(
  store: WriteStore,
  seen: JournalVersion,
  id: string,
  change: (journal: Journal) => Journal,
): Promise<JournalVersion> {
  for (let version = seen; ; version = await readJournal(store)) {
    if (version.journal.sweeping?.id !== id) {
      throw new CommandError('another gantry process considered this garbage collection dead and ended it', {
        hint: 'Nothing is broken. Run gc again.',
      });
    }
    const written = await writeJournal(store, change(version.journal), version);
    if (written !== null) return written;
  }
}

/** Ends the sweep after a failure. If this fails too, the next run takes over after the lease. */
async function release(store: WriteStore, id: string, now: number): Promise<void> {
  try {
    const version = await readJournal(store);
    if (version.journal.sweeping?.id === id) await takeOver(store, version, now);
  } catch {
    // The first failure is the one to report.
  }
}

/** Removes manifests that are about to be deleted from the referrers records that stay. */
async function unlist(store: WriteStore, due: readonly Garbage[]): Promise<void> {
  const going = new Map<RepositoryName, Set<Digest>>();
  const gone = new Set(due.map(({ object }) => object.key));
  for (const { kind, object } of due) {
    const key = parseKey(object.key);
    if (kind !== 'manifest' || key?.kind !== 'manifest') continue;
    const digests = going.get(key.name) ?? new Set<Digest>();
    going.set(key.name, digests.add(key.digest));
  }
  for (const [name, digests] of going) {
    for await (const { key } of store.list(referrersPrefix(name))) {
      if (!gone.has(key)) await unlistFrom(store, key, digests);
    }
  }
}

async function unlistFrom(store: WriteStore, key: string, going: ReadonlySet<Digest>): Promise<void> {
  await untilWritten(`the referrers record ${key}`, async () => {
    const record = await readReferrersRecord(store, key);
    const { info, descriptors } = record ?? { info: null, descriptors: null };
    const staying = descriptors?.filter(({ digest }) => !going.has(digest));
    if (staying === undefined || staying.length === descriptors?.length) return undefined;
    return writeReferrersRecord(store, key, staying, info);
  });
}
