/** What one task may cost an upstream and this machine: a guard against malicious content and broken upstreams. */
import { OriginError } from './errors.ts';

/** Limits of one task. */
export interface BudgetLimits {
  /** HTTP requests, with those for redirects, tokens and retries. */
  readonly requests: number;
  /** Bytes of bodies that are received. */
  readonly bytes: number;
  /** Milliseconds from the beginning to the end. */
  readonly time: number;
}

/** What is left of the limits. Its methods throw {@link OriginError} `ORIGIN_LIMIT` beyond them. */
export interface Budget {
  /** Aborted when the time is over. */
  readonly signal: AbortSignal;
  /** Bytes received so far. */
  readonly received: number;
  /** Counts a request that is about to be sent. */
  readonly request: () => void;
  /** Counts bytes that arrived. */
  readonly receive: (bytes: number) => void;
  /** Throws if a body of that length does not fit any more. */
  readonly expect: (bytes: number) => void;
}

/** Runs a task within limits. `what`: the task in error messages. Throws what it throws, and {@link OriginError}. */
export async function withinBudget<T>(
  { requests, bytes, time }: BudgetLimits,
  what: string,
  work: (budget: Budget) => Promise<T>,
): Promise<T> {
  const over = (limit: string): OriginError =>
    new OriginError('ORIGIN_LIMIT', `${what} needs more than ${limit}, which is the limit`);
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const seconds = `${String(Math.round(time / 1000))} s`;
    const message = `${what} took longer than ${seconds}, which is the limit`;
    controller.abort(new OriginError('ORIGIN_UNAVAILABLE', message, { retryable: false }));
  }, time);
  let sent = 0;
  let received = 0;
  const expect = (more: number): void => {
    if (received + more > bytes) throw over(`${String(bytes)} bytes`);
  };
  try {
    return await work({
      signal: controller.signal,
      get received() {
        return received;
      },
      request: () => {
        if (sent >= requests) throw over(`${String(requests)} requests to the upstream`);
        sent += 1;
      },
      receive: (more) => {
        expect(more);
        received += more;
      },
      expect,
    });
  } finally {
    clearTimeout(timer);
  }
}
