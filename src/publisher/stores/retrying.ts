import { withRetry } from '../../bucket/retry.ts';
import type { RetryPolicy } from '../../http/retry.ts';
import { StorageError } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import type { S3Client } from './s3/client.ts';
import { readFailure, storageErrorOf } from './s3-failure.ts';

/** Outlasts a restart of the server, and R2's limit of one write a second to a key. */
export const S3_RETRY: RetryPolicy = { attempts: 8, backoff: 200, maxBackoff: 10_000, maxRetryAfter: 120_000 };

/** How a request is repeated. */
export interface SendOptions {
  readonly policy: RetryPolicy;
  readonly title: string;
  /** For messages: `writing blobs/…`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends one request, again after failures that may pass: the only place where S3 is retried. `mayBeDone`: an attempt
 * before may have been carried out although its answer did not arrive. Throws the signal's reason, or {@link
 * StorageError} for the last failure.
 */
export async function sendRetrying<T>(
  send: (mayBeDone: boolean) => Promise<T>,
  { policy, title, what, signal }: SendOptions,
): Promise<T> {
  let mayBeDone = false;
  try {
    return await withRetry(() => send(mayBeDone), policy, {
      signal,
      judge: (error) => {
        if (isFinal(error)) return null;
        const { retryable, ambiguous, retryAfter } = readFailure(error);
        mayBeDone ||= ambiguous;
        return retryable ? { retryAfter } : null;
      },
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw isFinal(error) ? error : storageErrorOf(error, what, title);
  }
}

/** Errors that were judged before, and programming errors. */
function isFinal(error: unknown): boolean {
  return error instanceof StorageError || error instanceof CommandError || error instanceof TypeError;
}

/** Sends one request, again if need be; `what` for messages. `mayBeDone`: see {@link sendRetrying}. */
export type SendRequest = <T>(
  what: string,
  send: (client: S3Client, mayBeDone: boolean, stop?: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
  /** The length of the body that is written, for {@link WriteGuard}. */
  bytes?: number,
) => Promise<T>;

/** Sends a write of so many bytes, if there is room for them. `stop` ends it when there is none any more. */
export type WriteGuard = <T>(bytes: number, send: (stop: AbortSignal) => Promise<T>) => Promise<T>;

/** A signal that any of these aborts. */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal | undefined {
  const given = signals.filter((one) => one !== undefined);
  return given.length > 1 ? AbortSignal.any(given) : given[0];
}
