/** One question over `fetch`: redirects by policy, time limits, failures with names; and asking again. No endpoint and no credentials are known here. */
import { parseRetryAfter, retryDelay } from '../http/retry.ts';
import { OriginError, readErrorBody } from './errors.ts';
import { decideRedirect, isTransientStatus, type OriginPolicy, type OriginTimeouts } from './policy.ts';

/** What is needed of a `Response`: of the platform's own, or of what stands in for it. */
export interface FetchAnswer {
  readonly status: number;
  readonly headers: Pick<Headers, 'get' | 'has'>;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** What is needed of `fetch`. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; redirect: 'manual'; signal: AbortSignal },
) => Promise<FetchAnswer>;

/** Time and chance, so that tests need neither. Milliseconds. */
export interface Clock {
  now(): number;
  random(): number;
  /** Rejects with the signal's reason if it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** The real ones. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const stop = (): void => {
        clearTimeout(timer);
        reject(reasonOf(signal));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, milliseconds);
      signal?.addEventListener('abort', stop, { once: true });
    }),
};

/** One question. `authorization` goes to the origin of `url` only. */
export interface Question {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly authorization?: string | undefined;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** What came back, after redirects. Its body must be read or let go. */
export interface Answer {
  readonly status: number;
  readonly headers: FetchAnswer['headers'];
  /** Who answered in the end. */
  readonly url: URL;
  /** Whether another origin than the one asked answered: its 401 is not about our credentials. */
  readonly elsewhere: boolean;
  /** Null for an answer without one. */
  readonly body: ReadableStream<Uint8Array> | null;
  /** The whole body, within the time of an answer. Throws {@link OriginError} if it is cut, too slow or larger than a document may be. */
  read(): Promise<Uint8Array>;
  /** Lets the connection go. */
  discard(): Promise<void>;
}

/** Asks. */
export interface Transport {
  readonly clock: Clock;
  readonly policy: OriginPolicy;
  readonly timeouts: OriginTimeouts;
  /** Asks once, following redirects. Throws {@link OriginError}, or the signal's reason. */
  ask(question: Question): Promise<Answer>;
  /** Does it until it works, fails for good, or the policy's attempts are over. */
  retrying<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Makes a transport. */
export function createTransport(options: {
  readonly fetch: Fetch;
  readonly policy: OriginPolicy;
  readonly timeouts: OriginTimeouts;
  readonly clock: Clock;
}): Transport {
  const { fetch, policy, timeouts, clock } = options;

  async function askOnce(question: Question, url: URL, authorization: string | undefined): Promise<Answer> {
    const limit = new AbortController();
    const signal = question.signal === undefined ? limit.signal : AbortSignal.any([question.signal, limit.signal]);
    const timer = setTimeout(() => limit.abort(new TimedOut()), timeouts.answer);
    const failed = (error: unknown, cut = false): unknown => {
      if (question.signal?.aborted === true) return reasonOf(question.signal);
      return limit.signal.aborted
        ? tooSlow(url, timeouts.answer)
        : error instanceof OriginError
          ? error
          : unreachable(url, error, cut);
    };
    try {
      const response = await fetch(url.href, {
        method: question.method,
        headers: { ...question.headers, ...(authorization === undefined ? {} : { authorization }) },
        ...(question.body === undefined ? {} : { body: question.body }),
        redirect: 'manual',
        signal,
      });
      return {
        status: response.status,
        headers: response.headers,
        url,
        elsewhere: url.origin !== question.url.origin,
        body: response.body,
        read: async () => {
          const bodyTimer = setTimeout(() => limit.abort(new TimedOut()), timeouts.answer);
          try {
            return await readBody(response, url, policy.maxDocument);
          } catch (error) {
            throw failed(error, true);
          } finally {
            clearTimeout(bodyTimer);
          }
        },
        discard: () => discard(response),
      };
    } catch (error) {
      throw failed(error);
    } finally {
      clearTimeout(timer);
    }
  }

  async function ask(question: Question): Promise<Answer> {
    question.signal?.throwIfAborted();
    let { url, authorization } = question;
    for (let hops = 0; ; hops += 1) {
      const answer = await askOnce(question, url, authorization);
      if (!REDIRECTS.has(answer.status)) return answer;
      await answer.discard();
      if (question.method === 'POST')
        throw new OriginError('ORIGIN_PROTOCOL', `${nameOf(url)} redirects a POST`, { status: answer.status });
      if (hops >= policy.maxRedirects)
        throw new OriginError(
          'ORIGIN_POLICY',
          `${nameOf(question.url)} redirects more than ${String(policy.maxRedirects)} times`,
        );
      const decision = decideRedirect(url, answer.headers.get('location'), policy);
      if (decision.kind === 'refuse')
        throw new OriginError('ORIGIN_POLICY', `${nameOf(url)}: ${decision.why}`, { status: answer.status });
      url = decision.url;
      if (!decision.keepCredentials) authorization = undefined;
    }
  }

  async function retrying<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof OriginError) || !error.retryable) throw error;
        const delay = retryDelay(attempt, error.retryAfter, clock.random(), policy);
        if (delay === null) throw error;
        await clock.sleep(delay, signal);
      }
    }
  }

  return { clock, policy, timeouts, ask, retrying };
}

/** An address for messages: no query, since that of a presigned address is a password. */
export function nameOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** The error for an answer whose status is neither success nor "not found". Reads the body for what it says. */
export async function statusError(answer: Answer, now: number): Promise<OriginError> {
  const { message } = await explain(answer);
  const { status, url } = answer;
  const text = `${nameOf(url)} answered ${String(status)}${message === undefined ? '' : `: ${message}`}`;
  if (status === 401) return new OriginError('ORIGIN_UNAUTHORIZED', text, { status });
  if (status === 403) return new OriginError('ORIGIN_DENIED', text, { status });
  const retryAfter = parseRetryAfter(answer.headers.get('retry-after'), now);
  if (status === 429) return new OriginError('ORIGIN_RATE_LIMITED', text, { status, retryAfter });
  if (isTransientStatus(status)) return new OriginError('ORIGIN_UNAVAILABLE', text, { status, retryAfter });
  return new OriginError('ORIGIN_PROTOCOL', text, { status });
}

/** What an error's body says; empty if it cannot be read. */
export async function explain(answer: Answer): Promise<{ readonly code?: string; readonly message?: string }> {
  try {
    return readErrorBody(new TextDecoder().decode(await answer.read()));
  } catch (error) {
    if (error instanceof OriginError) return {};
    throw error;
  }
}

async function readBody(response: FetchAnswer, url: URL, max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // A body that `fetch` unpacked has not the length that the header tells.
  const declared = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  if (declared !== null && Number(declared) > max) {
    await discard(response);
    throw tooLarge(url, max);
  }
  const reader = response.body?.getReader();
  if (reader !== undefined) {
    for (;;) {
      const { done, value } = (await reader.read()) as { done: boolean; value?: Uint8Array };
      if (done || value === undefined) break;
      length += value.length;
      if (length > max) {
        await reader.cancel().catch(() => undefined);
        throw tooLarge(url, max);
      }
      chunks.push(value);
    }
    if (declared !== null && Number(declared) !== length) {
      throw new OriginError(
        'ORIGIN_UNAVAILABLE',
        `${nameOf(url)} sent ${String(length)} bytes and had announced ${declared}`,
        {
          status: response.status,
        },
      );
    }
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

async function discard(response: FetchAnswer): Promise<void> {
  // A connection that is already broken cannot be let go of.
  await response.body?.cancel().catch(() => undefined);
}

function tooLarge(url: URL, max: number): OriginError {
  return new OriginError(
    'ORIGIN_PROTOCOL',
    `${nameOf(url)} sent more than ${String(max)} bytes where a document was expected`,
  );
}

function tooSlow(url: URL, milliseconds: number): OriginError {
  return new OriginError('ORIGIN_UNAVAILABLE', `${nameOf(url)} did not answer within ${String(milliseconds / 1000)} s`);
}

/** A signal's reason as an error. */
export function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

// Node tells why a connection failed by the code of the cause of a TypeError; workerd by a message alone.
const FAILURES: Readonly<Record<string, { readonly text: string; readonly retryable: boolean }>> = {
  ECONNREFUSED: { text: 'refuses connections', retryable: true },
  ECONNRESET: { text: 'broke the connection', retryable: true },
  ENOTFOUND: { text: 'is a host name that does not exist', retryable: false },
  EAI_AGAIN: { text: 'is a host name that could not be looked up', retryable: true },
  EHOSTUNREACH: { text: 'cannot be reached', retryable: true },
  ENETUNREACH: { text: 'cannot be reached', retryable: true },
  ETIMEDOUT: { text: 'cannot be reached: time-out', retryable: true },
  UND_ERR_CONNECT_TIMEOUT: { text: 'cannot be reached: time-out', retryable: true },
  UND_ERR_SOCKET: { text: 'broke the connection', retryable: true },
};

/** The error for a connection that failed, before the answer or, `cut`, in the midst of it. */
export function unreachable(url: URL, error: unknown, cut = false): OriginError {
  const codes = causesOf(error).flatMap((cause) => (typeof cause.code === 'string' ? [cause.code] : []));
  const last = causesOf(error).at(-1);
  const certificate = codes.find((code) => /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|ERR_SSL|EPROTO/.test(code));
  if (certificate !== undefined) {
    return new OriginError('ORIGIN_UNAVAILABLE', `${url.origin}: TLS fails: ${last?.message ?? certificate}`, {
      cause: error,
      retryable: false,
    });
  }
  const failure = codes.map((code) => FAILURES[code]).find((known) => known !== undefined);
  const text = cut ? 'cut its answer off' : (failure?.text ?? `cannot be reached: ${last?.message ?? String(error)}`);
  return new OriginError('ORIGIN_UNAVAILABLE', `${cut ? nameOf(url) : url.origin} ${text}`, {
    cause: error,
    retryable: failure?.retryable ?? true,
  });
}

function causesOf(error: unknown): readonly (Error & { code?: unknown })[] {
  const causes: Error[] = [];
  for (
    let cause = error;
    cause instanceof Error && causes.length < 8;
    cause = cause instanceof AggregateError ? cause.errors[0] : cause.cause
  ) {
    causes.push(cause);
  }
  return causes;
}
