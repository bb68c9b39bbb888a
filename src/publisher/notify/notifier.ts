/** Sends messages about tags that changed. A failure becomes a warning: the tags are written by then. */
import { randomUUID } from 'node:crypto';
import { parseRetryAfter } from '../../http/retry.ts';
import { type StorageRetryPolicy, withRetry } from '../../bucket/retry.ts';
import { formatCount } from '../cli/terminal-text.ts';
import { headersOf, messageOf, type Secret, type TagChange, TAGS_IN_MESSAGE } from './webhook.ts';

/** Where messages go, and what signs them. */
export interface NotifyTarget {
  readonly url: URL;
  readonly secrets: readonly Secret[];
}

/** How often a message is tried. Times in milliseconds; all attempts together take less than a minute. */
const POLICY = {
  attempts: 4,
  backoff: 500,
  maxBackoff: 4_000,
  maxRetryAfter: 10_000,
  timeout: 10_000,
  budget: 30_000,
} as const;

/** For tests, which wait for nothing. */
export interface NotifierOptions {
  readonly policy?: StorageRetryPolicy & { readonly timeout: number };
  readonly wait?: (milliseconds: number) => Promise<unknown>;
}

/** Sends messages to one receiver. */
export interface Notifier {
  /** Sends changes, in messages of at most {@link TAGS_IN_MESSAGE}. Resolves when all are sent or given up. */
  send(changes: readonly TagChange[]): Promise<void>;
  /** Resolves when nothing is being sent any more. */
  settled(): Promise<void>;
}

/** A message that was not accepted. */
class NotAcceptedError extends Error {
  override readonly name = 'NotAcceptedError';
  /** Null: it would be refused again. */
  readonly retry: { readonly retryAfter?: number | undefined } | null;

  constructor(message: string, retry: NotAcceptedError['retry'], cause?: unknown) {
    super(message, { cause });
    this.retry = retry;
  }
}

/** Makes a notifier. `onWarning` takes what failed; it contains the receiver's host, and no more of the address. */
export function createNotifier(
  target: NotifyTarget,
  onWarning: (message: string) => void,
  { policy = POLICY, wait }: NotifierOptions = {},
): Notifier {
  const { host } = target.url;
  const sending = new Set<Promise<void>>();

  async function sendAll(changes: readonly TagChange[]): Promise<void> {
    for (let at = 0; at < changes.length; at += TAGS_IN_MESSAGE) {
      const message = {
        id: `msg_${randomUUID()}`,
        body: messageOf(changes.slice(at, at + TAGS_IN_MESSAGE), new Date()),
      };
      let attempts = 0;
      try {
        await withRetry(
          () => {
            attempts += 1;
            return post(target, message, policy.timeout);
          },
          policy,
          { judge: (error) => (error instanceof NotAcceptedError ? error.retry : null), ...(wait && { wait }) },
        );
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        const tries = attempts === 1 ? '' : `, in ${String(attempts)} attempts`;
        onWarning(
          `${host} was not notified of ${formatCount(changes.length - at, 'changed tag')}: ${why}${tries}. ` +
            'The tags are changed all the same.',
        );
        // A receiver that takes no message takes the next one no sooner, and each would wait as long.
        return;
      }
    }
  }

  return {
    send: (changes) => {
      const work = sendAll(changes);
      sending.add(work);
      return work.finally(() => sending.delete(work));
    },
    settled: async () => {
      while (sending.size > 0) await Promise.all(sending);
    },
  };
}

/** Sends a message once. Throws {@link NotAcceptedError}. */
async function post(
  { url, secrets }: NotifyTarget,
  message: { readonly id: string; readonly body: string },
  timeout: number,
): Promise<void> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'gantry',
        ...headersOf(message, secrets, new Date()),
      },
      body: message.body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    });
    await response.body?.cancel();
  } catch (cause) {
    throw new NotAcceptedError(reasonOf(cause, timeout), {}, cause);
  }
  const { status, ok } = response;
  if (ok) return;
  // The specification counts only 2xx as success; redirects are not followed, since the address is what was agreed on.
  const isTransient = status >= 500 || status === 408 || status === 429;
  const retryAfter = parseRetryAfter(response.headers.get('retry-after'), Date.now());
  throw new NotAcceptedError(`it answered ${String(status)}`, isTransient ? { retryAfter } : null);
}

/** Why there was no answer. The error itself may contain the address, and so a secret in it: only its code is shown. */
function reasonOf(cause: unknown, timeout: number): string {
  if (cause instanceof Error && cause.name === 'TimeoutError')
    return `there was no answer within ${String(timeout / 1000)} s`;
  const { code } = ((cause instanceof Error ? cause.cause : undefined) ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? `it cannot be reached (${code})` : 'it cannot be reached';
}
