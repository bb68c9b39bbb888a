/** Trying again: what others wrote in between, and what failed for a moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StorageError } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';

/** How to wait between tries: `wait` sleeps that many milliseconds. */
export interface RetryOptions {
  readonly wait?: (milliseconds: number) => Promise<unknown>;
  readonly signal?: AbortSignal | undefined;
}

const CONFLICT = { tries: 60, firstMs: 20, mostMs: 2_000 } as const;
const FAILURE = { tries: 4, firstMs: 250, mostMs: 5_000 } as const;

/**
 * Calls `attempt` until its conditional write holds; it must look anew each time. Waits longer and longer, by chance, so that two writers do not go on colliding.
 * `what` for the message of the {@link CommandError} that ends it.
 */
export async function untilWritten<T>(
  what: string,
  attempt: () => Promise<T | 'precondition-failed'>,
  options: RetryOptions = {},
): Promise<T> {
  for (let tried = 0; tried < CONFLICT.tries; tried += 1) {
    options.signal?.throwIfAborted();
    const result = await attempt();
    if (result !== 'precondition-failed') return result;
    await pause(tried, CONFLICT, options);
  }
  throw new CommandError(`${what} is being written by others all the time`, { hint: 'Try again when they are done.' });
}

/** Calls `attempt` again where storage says that the same call may work later. Any other error, and the last one, is thrown. */
export async function whileUnavailable<T>(attempt: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof StorageError && error.retryable) || tried + 1 >= FAILURE.tries) throw error;
      options.signal?.throwIfAborted();
      await pause(tried, FAILURE, options);
    }
  }
}

async function pause(
  tried: number,
  { firstMs, mostMs }: { firstMs: number; mostMs: number },
  { wait, signal }: RetryOptions,
): Promise<void> {
  const most = Math.min(mostMs, firstMs * 2 ** tried);
  const milliseconds = most * (0.25 + 0.75 * Math.random());
  await (wait === undefined
    ? sleep(milliseconds, undefined, signal === undefined ? {} : { signal })
    : wait(milliseconds));
}
