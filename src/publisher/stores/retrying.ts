import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { StorageError } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import { readFailure, type S3Failure, storageErrorOf } from './s3-failure.ts';

/** How often a request is sent, and the waits in between, in milliseconds. */
export interface RetryPolicy {
  readonly tries: number;
  readonly firstMs: number;
  readonly mostMs: number;
  /** A longer `Retry-After` ends the retries. */
  readonly mostRetryAfterMs: number;
}

/** Long enough for a restart of the server, and for R2's limit of one write a second to a key. */
export const DEFAULT_RETRY: RetryPolicy = { tries: 8, firstMs: 200, mostMs: 10_000, mostRetryAfterMs: 120_000 };

/**
 * The wait before a request is sent again; null if it is not. `tried` counts attempts from 1; `random` is in [0, 1).
 * Waits grow exponentially, with jitter over their upper half. `Retry-After` is a lower bound.
 */
export function retryDelay(failure: S3Failure, tried: number, policy: RetryPolicy, random: number): number | null {
  if (!failure.retryable || tried >= policy.tries) return null;
  if ((failure.retryAfterMs ?? 0) > policy.mostRetryAfterMs) return null;
  const most = Math.min(policy.mostMs, policy.firstMs * 2 ** (tried - 1));
  const jittered = most * (0.5 + 0.5 * random);
  return failure.retryAfterMs === undefined ? jittered : failure.retryAfterMs + random * Math.min(500, policy.firstMs);
}

/** The options of {@link sendRetrying}. */
export interface SendOptions {
  readonly policy: RetryPolicy;
  readonly title: string;
  /** For messages: `writing blobs/…`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/** About earlier attempts: whether one of them may have succeeded although its answer was lost. */
export interface Attempt {
  readonly mayBeDone: boolean;
}

/**
 * Calls `send` until it succeeds, fails permanently, or the attempts are used up. Throws the signal's reason, or the
 * last failure as a {@link StorageError}.
 */
export async function sendRetrying<T>(
  send: (attempt: Attempt) => Promise<T>,
  { policy, title, what, signal }: SendOptions,
): Promise<T> {
  let mayBeDone = false;
  for (let tried = 1; ; tried += 1) {
    signal?.throwIfAborted();
    try {
      return await send({ mayBeDone });
    } catch (error) {
      signal?.throwIfAborted();
      // Already classified, or a fault in gantry.
      if (error instanceof StorageError || error instanceof CommandError || error instanceof TypeError) throw error;
      const failure = readFailure(error);
      const delay = retryDelay(failure, tried, policy, Math.random());
      if (delay === null) throw storageErrorOf(error, what, title);
      mayBeDone ||= failure.ambiguous;
      await sleep(delay, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** Sends a request with retries. `what` is for messages; `mayBeDone`: see {@link Attempt}. */
export type SendRequest = <T>(
  what: string,
  send: (client: S3Client, mayBeDone: boolean) => Promise<T>,
  signal?: AbortSignal,
) => Promise<T>;
