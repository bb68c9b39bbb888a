/**
 * Limits of filling: against malicious content, and against clients that would exhaust the upstream, the isolate or the
 * bucket. An isolate has 128 MB for everything. Stored images are never limited.
 */
import { type Budget, type BudgetLimits, withinBudget } from '../../origin/budget.ts';
import { OriginError } from '../../origin/errors.ts';
import type { RegistryClient } from '../../origin/registry-client.ts';
import { type Refused, refused } from '../gateway/answer.ts';
import { clientKey } from '../access/login-limit.ts';
import { type Slot, type SlotKind, Slots, type Urgency } from './fill-slots.ts';
import { type Pull, unlessLimited, waitFor } from './pull.ts';
import type { SingleFlight } from './single-flight.ts';

const MIB = 1024 * 1024;

/** The limits of each kind of task. Times in milliseconds. */
export const FILL_LIMITS = {
  /**
   * A tag: its manifests, 24 children, and a config for each. Each may need a redirect and a second attempt; a token
   * counts, too. The documents are in memory at once.
   */
  tag: { requests: 160, bytes: 8 * MIB, time: 60_000 },
  /** A manifest by digest. */
  manifest: { requests: 12, bytes: 5 * MIB, time: 60_000 },
  /** A tag list, of at most 50 pages. */
  tags: { requests: 110, bytes: 16 * MIB, time: 60_000 },
  /** A list of referrers: clients read at most 4 MiB of one. */
  referrers: { requests: 20, bytes: 4 * MIB, time: 60_000 },
  /** Signatures of a manifest: `SIGNATURE_LIMITS`, and a token. */
  signatures: { requests: 12, bytes: 5 * MIB, time: 60_000 },
  /** A list for Flatpak: Fedora's has some megabytes. */
  flatpak: { requests: 12, bytes: 16 * MIB, time: 60_000 },
  /** What refers to a tag's manifest, looked for after a comparison: the list, five manifests, and cosign's tag. */
  late: { requests: 40, bytes: 8 * MIB, time: 60_000 },
  /** Whether the upstream has a blob, and where. */
  presence: { requests: 12, bytes: MIB, time: 60_000 },
} as const satisfies Readonly<Record<string, BudgetLimits>>;

/** The limits of a blob of at most `largest` bytes. Each continuation after a broken connection is a request. */
export function blobLimits(largest: number): BudgetLimits {
  return { requests: 100, bytes: largest, time: 3_600_000 };
}

/**
 * Fills at once in an isolate. Documents: a tag takes at most 24 MiB (what is read, what is derived, and the tag
 * object), and usually less than one. Parts: a blob that is stored in parts takes two of 8 MiB.
 */
export const SLOT_KINDS = {
  documents: { most: 6, lease: 90_000, patience: 15_000 },
  /** Unpacking all layers of a tag: it takes as long as that. */
  completions: { most: 2, lease: 90_000, patience: 15_000 },
  blobs: { most: 16, lease: 60_000, patience: 60_000 },
  parts: { most: 5, lease: 60_000, patience: 60_000 },
} as const satisfies Readonly<Record<string, SlotKind>>;

const slots = {
  documents: new Slots(SLOT_KINDS.documents),
  completions: new Slots(SLOT_KINDS.completions),
  blobs: new Slots(SLOT_KINDS.blobs),
  parts: new Slots(SLOT_KINDS.parts),
};

/** Milliseconds for which the upstream is not asked again for what is beyond the limits. */
export const OVER_LIMIT_FOR = 300_000;

/** Seconds after which a client may try again: the rest of the limiter's minute, and the time of some fills. */
const RETRY_AFTER = { rate: 60, busy: 5 } as const;

/** Too many fills: by one client, or at once. `retryAfter` in seconds. */
export class FillLimitError extends Error {
  override readonly name = 'FillLimitError';
  readonly retryAfter: number;

  /** The answer to the client. */
  get answer(): Refused {
    return refused('fill-limited', { headers: { 'retry-after': String(this.retryAfter) } });
  }

  constructor(which: keyof typeof RETRY_AFTER) {
    super(which === 'rate' ? 'this client starts too many fetches' : 'too many fetches run at once');
    this.retryAfter = RETRY_AFTER[which];
  }
}

/**
 * Whether this request may start a fill. Requests that wait for another one's fill need no permission. Throws
 * {@link FillLimitError}; {@link OriginError} for what is known to be beyond the limits.
 */
export async function permitFill(
  { upstream, fillLimiter, client }: Pick<Pull, 'upstream' | 'fillLimiter' | 'client'>,
  key: string,
): Promise<void> {
  const known = upstream.overLimit.get(key, Date.now());
  if (known !== undefined) throw new OriginError('ORIGIN_LIMIT', known);
  if (fillLimiter === null || client === null) return;
  const { success } = await fillLimiter.limit({ key: `fill:${clientKey(client)}` });
  if (!success) throw new FillLimitError('rate');
}

/** Runs `work` in a slot of the isolate. Throws {@link FillLimitError} if none becomes free. */
export async function inSlot<T>(
  kind: keyof typeof SLOT_KINDS,
  work: (slot: Slot) => Promise<T>,
  urgency: Urgency = 'client',
): Promise<T> {
  const slot = await slots[kind].take(urgency);
  if (slot === null) throw new FillLimitError('busy');
  try {
    return await work(slot);
  } finally {
    slot.end();
  }
}

/**
 * Runs a fill within its limits. `key`: what it fetches; if that is beyond the limits, it is not fetched again for some
 * minutes. Throws what `work` throws, and {@link OriginError}.
 */
export async function fillWithin<T>(
  { upstream }: Pick<Pull, 'upstream'>,
  limits: BudgetLimits,
  key: string,
  work: (client: RegistryClient, budget: Budget) => Promise<T>,
): Promise<T> {
  try {
    return await withinBudget(limits, key, (budget) => work(upstream.client.within(budget), budget));
  } catch (error) {
    if (error instanceof OriginError && error.code === 'ORIGIN_LIMIT')
      upstream.overLimit.set(key, error.message, Date.now() + OVER_LIMIT_FOR);
    throw error;
  }
}

/**
 * Fetches documents once for all concurrent requests: with permission, in a slot, and within limits. `key`: what is
 * fetched. Throws what `work` throws, {@link FillLimitError} and {@link OriginError}.
 */
export async function fillOnce<V>(
  pull: Pick<Pull, 'rule' | 'upstream' | 'fillLimiter' | 'client' | 'waitUntil'>,
  flights: SingleFlight<V>,
  limits: BudgetLimits,
  key: string,
  work: (client: RegistryClient, budget: Budget) => Promise<V>,
): Promise<V> {
  unlessLimited(pull.upstream);
  if (flights.of(key) === undefined) await permitFill(pull, key);
  const flight = flights.once(key, pull.waitUntil, () =>
    inSlot('documents', () => fillWithin(pull, limits, key, work)),
  );
  return waitFor(pull, flights, key, flight);
}
