/** The publisher's part of the protocol with garbage collection (`journal.ts`). */
import { setTimeout as sleep } from 'node:timers/promises';
import { GC_JOURNAL_KEY } from '../../registry/keys.ts';
import type { WriteStore } from '../../registry/store.ts';
import { type JournalVersion, readJournal, waitForSweep, writeJournal } from './journal.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';

/** Protects the objects that a publisher relies on from deletion. Made by {@link guardAgainstGc}. */
export interface GcGuard {
  /**
   * Call right before a tag object is written, with the keys of all blobs, manifests and referrers records that the tag
   * needs, whether they were sent or found. Gives the keys that were deleted meanwhile: send those and call again until
   * none is left, then write the tag at once. Costs one HEAD unless `gc --delete` has run.
   */
  secure(keys: readonly string[]): Promise<readonly string[]>;
}

/**
 * Makes a guard. Call it once for each run, **before** checking which objects exist; several images may use it at once.
 */
export async function guardAgainstGc(
  store: WriteStore,
  options: {
    readonly wait?: (milliseconds: number) => Promise<void>;
    readonly onWait?: () => void;
    readonly leaseMs?: number | undefined;
  } = {},
): Promise<GcGuard> {
  const wait = options.wait ?? ((milliseconds: number) => sleep(milliseconds));
  let known = await readJournal(store);
  const startedAt = known.journal.sweeps;
  // Key → the count of ended sweeps when the key was last seen.
  const seenAt = new Map<string, number>();
  let turn: Promise<unknown> = Promise.resolve();
  return {
    secure: (keys) => {
      // One after the other: two images of one run must not fail each other's conditional writes.
      const result = turn.then(() => secure(keys));
      turn = result.catch(() => undefined);
      return result;
    },
  };

  async function secure(keys: readonly string[]): Promise<readonly string[]> {
    for (;;) {
      known = await latest();
      const { sweeping } = known.journal;
      const swept = new Set(sweeping?.keys);
      if (sweeping !== null && keys.some((key) => swept.has(key))) {
        known = await waitForSweep(store, known, {
          wait,
          now: Date.now,
          leaseMs: options.leaseMs,
          ...(options.onWait === undefined ? {} : { onWait: options.onWait }),
        });
      }
      const { journal } = known;
      if (!keys.some((key) => journal.unreferenced.has(key))) break;
      const needed = new Set(keys);
      const unreferenced = new Map([...journal.unreferenced].filter(([key]) => !needed.has(key)));
      const written = await writeJournal(store, { ...journal, unreferenced }, known);
      if (written !== null) {
        known = written;
        break;
      }
    }
    const { sweeps } = known.journal;
    const missing: string[] = [];
    await forEachLimit(
      keys.filter((key) => (seenAt.get(key) ?? startedAt) !== sweeps),
      16,
      async (key) => {
        if ((await store.head(key)) === null) missing.push(key);
        else seenAt.set(key, sweeps);
      },
    );
    return missing;
  }

  async function latest(): Promise<JournalVersion> {
    const info = await store.head(GC_JOURNAL_KEY);
    return info?.etag === known.etag ? known : readJournal(store);
  }
}
