/** How often a request is repeated, and how long to wait in between. Pure: stores and registry clients share it. */

/** When to give up. Times in milliseconds. */
export interface RetryPolicy {
  /** Attempts in all, the first one included. 1 never repeats. */
  readonly attempts: number;
  /** Pause before the second attempt; it doubles with each further one, and its upper half is random. */
  readonly backoff: number;
  /** Longest pause, unless the server asks for a longer one. */
  readonly maxBackoff: number;
  /** Longest pause that a server may ask for by `Retry-After`; if it asks for more, the failure is final. */
  readonly maxRetryAfter: number;
}

/** Milliseconds before attempt `attempt` + 1 (the first is 1); null to give up. `random` in [0, 1). */
export function retryDelay(
  attempt: number,
  retryAfter: number | undefined,
  random: number,
  { attempts, backoff, maxBackoff, maxRetryAfter }: RetryPolicy,
): number | null {
  if (attempt >= attempts || (retryAfter ?? 0) > maxRetryAfter) return null;
  const ceiling = Math.min(maxBackoff, backoff * 2 ** (attempt - 1));
  // Never earlier than the server asks; the random part keeps many waiting clients from returning at once.
  return Math.max(retryAfter ?? 0, 0) + ceiling * (retryAfter === undefined ? 0.5 + random / 2 : random / 4);
}

/** Reads `Retry-After` (RFC 9110 §10.2.3): milliseconds from `now`; undefined if it is absent or unreadable. */
export function parseRetryAfter(value: string | null | undefined, now: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse accepts much that is no HTTP date; HTTP dates begin with the name of a day.
  const date = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
