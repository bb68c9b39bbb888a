/**
 * The journal of garbage collection (`gc.json`): how `gc` and publishers that work at the same time keep out of each other's way.
 *
 * The danger: a publisher finds that a blob is there and does not send it; `gc`, which does not know the coming tag yet, deletes it. So
 *
 * 1. `gc` notes what nothing needs, with the time it first saw that. Only what has been noted for the whole grace period may be deleted.
 * 2. Before deleting, it moves those keys to `sweeping` — by a write on the condition that the journal is as it was **before** marking. From then on a publisher
 *    that needs one of them waits; when all is deleted, `gc` counts `sweeps` up and takes the keys away.
 * 3. A publisher, right before it writes a tag, looks at the journal (`guard.ts`). What it needs and is noted it takes out, by a conditional write: that makes a `gc`
 *    which has marked already fail in step 2 and mark anew. If `sweeps` has moved since it looked what is there, it looks again and sends what is gone.
 *
 * So the only time that counts is that between a publisher's look and its tag's write; it must be shorter than the grace period. No clocks are compared: a sweep
 * whose journal has not changed for {@link LEASE_MS} while somebody watched is dead, and who watched takes it over.
 *
 * A deletion that is held back on its way must not be carried out after that. So each carries a deadline that storage enforces ({@link fenceOf}): a quarter of the
 * lease after the journal was last written, by storage's clock. Whoever takes over watched for a whole lease, so by then each deletion is done or will be refused.
 */
import { GC_JOURNAL_KEY } from '../../registry/keys.ts';
import { refuseNewer } from '../../registry/newer-version.ts';
import type { DeleteFence, ReadStore, WriteStore } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import { readObject } from '../../bucket/read-object.ts';

/** How long a sweep may leave the journal unchanged, in milliseconds. */
export const LEASE_MS = 120_000;

/** How often somebody who waits looks again, in milliseconds. */
export const POLL_MS = 2_000;

/** A deletion that is going on. */
export interface Sweep {
  /** Who deletes. */
  readonly id: string;
  /** Counts renewals, so that a living sweep changes the journal. */
  readonly beat: number;
  readonly keys: readonly string[];
}

/** What the journal says. */
export interface Journal {
  /** How many sweeps have ended. */
  readonly sweeps: number;
  /** Null if nobody deletes. */
  readonly sweeping: Sweep | null;
  /** Key → when it was first seen that nothing needs it, in milliseconds since 1970. */
  readonly unreferenced: ReadonlyMap<string, number>;
}

/** A version of the journal. `etag` undefined: there is none yet. */
export interface JournalVersion {
  readonly etag: string | undefined;
  readonly journal: Journal;
}

/** The journal of a bucket without garbage. */
export const EMPTY_JOURNAL: Journal = { sweeps: 0, sweeping: null, unreferenced: new Map() };

/** Reads the journal. Throws {@link CommandError} if it cannot be understood: then neither deleting nor publishing beside a deletion is safe. */
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

/** The journal's bytes. */
export function encodeJournal({ sweeps, sweeping, unreferenced }: Journal): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({ version: 1, sweeps, sweeping, unreferenced: Object.fromEntries(unreferenced) }),
  );
}

/** Reads the journal's bytes. Throws {@link CommandError}. */
export function decodeJournal(bytes: Uint8Array): Journal {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw unreadable(cause);
  }
  const { version, sweeps, sweeping, unreferenced } = (value ?? {}) as Record<string, unknown>;
  refuseNewer(`the journal of garbage collection (${GC_JOURNAL_KEY})`, version, 1);
  if (version !== 1 || typeof sweeps !== 'number') throw unreadable();
  if (typeof unreferenced !== 'object' || unreferenced === null) throw unreadable();
  const entries = Object.entries(unreferenced as Record<string, unknown>);
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

/** Ends a sweep that was given up: what it had not deleted may be used again, and counts as seen now. Gives null if the journal has changed meanwhile. */
export async function takeOver(store: WriteStore, over: JournalVersion, now: number): Promise<JournalVersion | null> {
  const { journal } = over;
  const unreferenced = new Map([
    ...journal.unreferenced,
    ...(journal.sweeping?.keys ?? []).map((key) => [key, now] as const),
  ]);
  return writeJournal(store, { sweeps: journal.sweeps + 1, sweeping: null, unreferenced }, over);
}

/**
 * Waits for the end of a sweep: calls `look` until it gives a journal that nobody sweeps by, and takes over a sweep that does not move.
 * `wait` sleeps that many milliseconds; elapsed time is counted by the sleeps, not read from a clock.
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
  const { id, beat, keys } = (value ?? {}) as Record<string, unknown>;
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
      hint: 'Use the newest gantry. If no other one is at work, the file may be deleted: the grace period then starts anew.',
      cause,
    },
  );
}
