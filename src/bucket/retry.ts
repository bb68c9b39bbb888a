/**
 * The retry policy of storage. It is applied at one level for each store: S3 repeats single requests, because only it
 * knows whether one may have been carried out; the Worker repeats a whole answer, because a body can break off after
 * its headers, and single operations of {@link withRetries} when it writes. Nothing else repeats.
 */
import { retryDelay, type RetryPolicy } from '../http/retry.ts';
import { SYSTEM_CLOCK } from '../registry/clock.ts';
import { StorageError, type WriteStore } from '../registry/store.ts';

/** When to give up storage. Times in milliseconds. */
export interface StorageRetryPolicy extends RetryPolicy {
  /** Limit of one attempt until there is a result; reading a body may take longer. */
  readonly attemptTimeout?: number;
  /** No attempt begins later than this after the first one. */
  readonly budget?: number;
}

/** R2 behind its binding: its slowest answers take about a second, and clients give up after many. */
export const R2_RETRY = {
  attempts: 3,
  backoff: 100,
  maxBackoff: 1_000,
  maxRetryAfter: 1_000,
  attemptTimeout: 5_000,
  budget: 8_000,
} as const satisfies StorageRetryPolicy;

/** Conditional writes that lose against other writers. */
export const CONFLICT_RETRY = {
  attempts: 60,
  backoff: 20,
  maxBackoff: 2_000,
  maxRetryAfter: 0,
} as const satisfies RetryPolicy;

const sleep: NonNullable<PauseOptions['wait']> = (milliseconds, signal) => SYSTEM_CLOCK.sleep(milliseconds, signal);

/** How to pause. */
export interface PauseOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sleeps that many milliseconds; for tests. */
  readonly wait?: ((milliseconds: number, signal?: AbortSignal) => Promise<unknown>) | undefined;
}

/** How to repeat. */
export interface RetryOptions<T> extends PauseOptions {
  /**
   * The milliseconds that the server asks to wait before a retry; null if the failure is permanent.
   * By default retryable {@link StorageError}s may.
   */
  readonly judge?: (error: unknown) => { readonly retryAfter?: number | undefined } | null;
  /** Takes the result of an attempt that came after its time limit. */
  readonly discard?: (late: T) => void;
}

/** Calls `work`, and retries after transient failures. Throws the last failure, or the signal's reason. */
export async function withRetry<T>(
  work: () => Promise<T>,
  policy: StorageRetryPolicy,
  { signal, wait = sleep, judge = judgeStorageError, discard }: RetryOptions<T> = {},
): Promise<T> {
  const begun = Date.now();
  const { attemptTimeout, budget = Infinity } = policy;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await (attemptTimeout === undefined ? work() : withTimeout(work, attemptTimeout, discard));
    } catch (error) {
      signal?.throwIfAborted();
      const failure = judge(error);
      const delay =
        failure === null || Date.now() - begun >= budget
          ? null
          : retryDelay(attempt, failure.retryAfter, Math.random(), policy);
      if (delay === null) throw error;
      await wait(delay, signal);
    }
  }
}

function judgeStorageError(error: unknown): { readonly retryAfter?: number } | null {
  return error instanceof StorageError && error.retryable ? {} : null;
}

function withTimeout<T>(work: () => Promise<T>, limit: number, discard?: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new StorageError('STORAGE_UNAVAILABLE', `storage gave no answer within ${String(limit)} ms`));
    }, limit);
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    try {
      work().then((result) => {
        clearTimeout(timer);
        if (isLate) discard?.(result);
        else resolve(result);
      }, fail);
    } catch (error) {
      fail(error);
    }
  });
}

/** How conditional writes are repeated. */
export interface ConflictOptions extends PauseOptions {
  readonly policy?: RetryPolicy;
}

/**
 * Repeats a conditional write until it holds; `attempt` must read again each time. `what` names the object in the
 * message. Throws {@link StorageError} when the attempts are used up.
 */
export async function untilWritten<T>(
  what: string,
  attempt: () => Promise<T | 'precondition-failed'>,
  { policy = CONFLICT_RETRY, signal, wait = sleep }: ConflictOptions = {},
): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    signal?.throwIfAborted();
    const result = await attempt();
    if (result !== 'precondition-failed') return result;
    const delay = retryDelay(tried, undefined, Math.random(), policy);
    if (delay === null)
      throw new StorageError('STORAGE_UNAVAILABLE', `${what} could not be written: other writers keep changing it`);
    await wait(delay, signal);
  }
}

/**
 * A store whose operations are repeated by a policy. A body that can be read only once is sent once; a listing is read
 * once.
 */
export function withRetries(store: WriteStore, policy: StorageRetryPolicy): WriteStore {
  return {
    head: (key) => withRetry(() => store.head(key), policy),
    get: (key, options) =>
      withRetry(() => store.get(key, options), policy, {
        discard: (late) => {
          if (late !== null && late !== 'changed') void late.body.cancel().catch(() => undefined);
        },
      }),
    put: (key, body, options) =>
      body instanceof Uint8Array
        ? withRetry(() => store.put(key, body, options), policy)
        : store.put(key, body, options),
    delete: (keys) => withRetry(() => store.delete(keys), policy),
    deleteFenced: store.deleteFenced?.bind(store),
    list: (prefix, options) => store.list(prefix, options),
  };
}
