/**
 * The journal of garbage collection (`gc.json`), by which `gc` and publishers coordinate.
 *
 * The race: a publisher finds a blob and does not send it; `gc`, which does not see the coming tag yet, deletes it.
 * Therefore:
 *
 * 1. `gc` notes unreferenced keys with the time it first saw them. Only keys that were noted for the whole grace period
 *    may be deleted.
 * 2. Before deleting, it moves those keys to `sweeping`, by a write on the condition that the journal is as it was
 *    **before** marking. From then on a publisher that needs one of them waits. When all are deleted, `gc` increments
 *    `sweeps` and removes the keys.
 * 3. Right before it writes a tag, a publisher reads the journal (`guard.ts`). It removes the noted keys that it needs
 *    by a conditional write, so that a `gc` that has already marked fails in step 2 and marks again. If `sweeps` has
 *    changed since it checked which objects exist, it checks again and sends what is missing.
 *
 * The only critical time is that between a publisher's check and its write of the tag; it must be shorter than the
 * grace period. Clocks are not compared: a sweep whose journal has not changed for {@link LEASE_MS} while a process
 * waited is dead, and that process takes it over.
 *
 * A deletion that is held back on its way must not be carried out after that. So each has a deadline that storage
 * enforces ({@link fenceOf}): a quarter of the lease after the journal was last written, by storage's clock. A process
 * that takes over has waited for a whole lease, so by then each deletion is done or will be refused.
 */
import { GC_JOURNAL_KEY } from '../../registry/keys.ts';
import { refuseNewer } from '../../registry/unreadable-record.ts';
import type { DeleteFence, ReadStore, WriteStore } from '../../registry/store.ts';
import { isObject, objectOf } from '../../registry/values/json.ts';
import { CommandError } from '../cli/errors.ts';
import { readObject } from '../../bucket/read-object.ts';

/** How long a sweep may leave the journal unchanged, in milliseconds. */
export const LEASE_MS = 120_000;

/** How often a waiting process reads the journal, in milliseconds. */
export const POLL_MS = 2_000;

/** An active deletion. */
export interface Sweep {
  /** Identifies the run that deletes. */
  readonly id: string;
  /** Counts renewals, so that an active sweep changes the journal. */
  readonly beat: number;
  readonly keys: readonly string[];
}

/** The content of the journal. */
export interface Journal {
  /** How many sweeps have ended. */
  readonly sweeps: number;
  /** Null if no run deletes. */
  readonly sweeping: Sweep | null;
  /** Key → when it was first seen unreferenced, in milliseconds since 1970. */
  readonly unreferenced: ReadonlyMap<string, number>;
}

/** A version of the journal. `etag` undefined: there is none yet. */
export interface JournalVersion {
  readonly etag: string | undefined;
  readonly journal: Journal;
}

/** The journal of a bucket without garbage. */
export const EMPTY_JOURNAL: Journal = { sweeps: 0, sweeping: null, unreferenced: new Map() };

/**
 * Reads the journal. Throws {@link CommandError} if it cannot be parsed: then neither deleting nor publishing is safe.
 */
export async function readJournal(store: ReadStore): Promise<JournalVersion> {
  const object = await readObject(store, GC_JOURNAL_KEY);
  return object === null
    ? { etag: undefined, journal: EMPTY_JOURNAL }
    : { etag: object.info.etag, journal: decodeJournal(object.bytes) };
}

/** Writes the journal over the version that was read; null if it has changed since. */
export async function writeJournal(
  store: WriteStore,
  journal: Journal,
  over: JournalVersion,
): Promise<JournalVersion | null> {
  const result = await store.put(GC_JOURNAL_KEY, encodeJournal(journal), {
    contentType: 'application/json',
    onlyIf: over.etag === undefined ? 'absent' : { etag: over.etag },
  });
  return result === 'precondition-failed' ? null : { etag: result.etag, journal };
}

/** Encodes the journal. */
export function encodeJournal({ sweeps, sweeping, unreferenced }: Journal): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({ version: 1, sweeps, sweeping, unreferenced: Object.fromEntries(unreferenced) }),
  );
}

/** Decodes the journal. Throws {@link CommandError}. */
export function decodeJournal(bytes: Uint8Array): Journal {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw unreadable(cause);
  }
  const { version, sweeps, sweeping, unreferenced } = objectOf(value);
  refuseNewer(`the journal of garbage collection (${GC_JOURNAL_KEY})`, version, 1);
  if (version !== 1 || typeof sweeps !== 'number') throw unreadable();
  if (!isObject(unreferenced)) throw unreadable();
  const entries = Object.entries(unreferenced);
  if (!entries.every((entry): entry is [string, number] => typeof entry[1] === 'number')) throw unreadable();
  return { sweeps, sweeping: sweeping === null ? null : toSweep(sweeping), unreferenced: new Map(entries) };
}

/** Until when deletions under this version of the journal may be carried out; null if it has changed since. */
export async function fenceOf(
  store: ReadStore,
  { etag }: JournalVersion,
  leaseMs: number,
): Promise<DeleteFence | null> {
  const info = await store.head(GC_JOURNAL_KEY);
  if (info?.etag !== etag) return null;
  return { from: info?.uploaded ?? new Date(0), seconds: Math.max(1, Math.floor(leaseMs / 4000)) };
}

/**
 * Ends a dead sweep: keys that it had not deleted may be used again, and count as seen now. Gives null if the journal
 * has changed meanwhile.
 */
export async function takeOver(store: WriteStore, over: JournalVersion, now: number): Promise<JournalVersion | null> {
  const { journal } = over;
  const unreferenced = new Map([
    ...journal.unreferenced,
    ...(journal.sweeping?.keys ?? []).map((key) => [key, now] as const),
  ]);
  return writeJournal(store, { sweeps: journal.sweeps + 1, sweeping: null, unreferenced }, over);
}

/**
 * Waits for the end of a sweep, and takes over a sweep that does not change the journal. `wait` sleeps that many
 * milliseconds; elapsed time is the sum of the sleeps, not read from a clock.
 */
export async function waitForSweep(
  store: WriteStore,
  first: JournalVersion,
  options: {
    readonly wait: (milliseconds: number) => Promise<void>;
    readonly now: () => number;
    readonly onWait?: () => void;
    readonly leaseMs?: number | undefined;
  },
): Promise<JournalVersion> {
  let seen = first;
  for (let unchanged = 0; seen.journal.sweeping !== null;) {
    if (unchanged >= (options.leaseMs ?? LEASE_MS)) {
      const over = await takeOver(store, seen, options.now());
      if (over !== null) return over;
    }
    options.onWait?.();
    await options.wait(POLL_MS);
    const next = await readJournal(store);
    unchanged = next.etag === seen.etag ? unchanged + POLL_MS : 0;
    seen = next;
  }
  return seen;
}

function toSweep(value: unknown): Sweep {
  const { id, beat, keys } = objectOf(value);
  if (
    typeof id !== 'string' ||
    typeof beat !== 'number' ||
    !Array.isArray(keys) ||
    !keys.every((key) => typeof key === 'string')
  )
    throw unreadable();
  return { id, beat, keys };
}

function unreadable(cause?: unknown): CommandError {
  return new CommandError(
    `the journal of garbage collection (${GC_JOURNAL_KEY}) is not of a version that this program reads`,
    {
      hint: 'Use the newest gantry. If no other one is at work, the file may be deleted: the grace period then starts again.',
      cause,
    },
  );
}
