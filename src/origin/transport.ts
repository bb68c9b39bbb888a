/** Requests over `fetch`: redirects by policy, timeouts, retries, and typed errors. */
import { parseRetryAfter, retryDelay } from '../http/retry.ts';
import type { Clock } from '../registry/clock.ts';
import type { Budget } from './budget.ts';
import { OriginError, readErrorBody } from './errors.ts';
import { decideRedirect, isTransientStatus, type OriginPolicy, type OriginTimeouts } from './policy.ts';

/** The part of `Response` that is used here. */
export interface FetchResponse {
  readonly status: number;
  readonly headers: Pick<Headers, 'get' | 'has'>;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** The part of `fetch` that is used here. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; redirect: 'manual'; signal: AbortSignal },
) => Promise<FetchResponse>;

/** A request. `authorization` is sent to the origin of `url` only. */
export interface OriginRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly authorization?: string | undefined;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  /** Counts the request, its redirects, and documents that are read. */
  readonly budget?: Budget | undefined;
  /** `report`: a redirect that may be followed is the response, with its `location`. Default: `follow`. */
  readonly redirects?: 'follow' | 'report' | undefined;
}

/** The response after redirects. Its body must be read or discarded. */
export interface OriginResponse {
  readonly status: number;
  readonly headers: FetchResponse['headers'];
  /** The address after redirects. */
  readonly url: URL;
  /** Whether a redirect led to another origin: its 401 does not concern the registry's credentials. */
  readonly redirectedAway: boolean;
  /** Where a redirect leads that was to be reported. Its body is discarded. */
  readonly location?: URL;
  /** Null for a response without one. */
  readonly body: ReadableStream<Uint8Array> | null;
  /**
   * The whole body, at most `maxDocument` bytes or fewer. Throws {@link OriginError} if it is truncated, too slow or
   * longer.
   */
  read(most?: number): Promise<Uint8Array>;
  /** Releases the connection. */
  discard(): Promise<void>;
}

/** Sends requests. */
export interface Transport {
  readonly clock: Clock;
  readonly policy: OriginPolicy;
  readonly timeouts: OriginTimeouts;
  /** Sends once, following redirects. Throws {@link OriginError}, or the signal's reason. */
  send(request: OriginRequest): Promise<OriginResponse>;
  /** Repeats `work` while its error is retryable and the policy has attempts left. */
  withRetry<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
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

  async function sendOnce(
    request: OriginRequest,
    url: URL,
    authorization: string | undefined,
  ): Promise<OriginResponse> {
    request.budget?.request();
    const limit = new AbortController();
    const signal = request.signal === undefined ? limit.signal : AbortSignal.any([request.signal, limit.signal]);
    const timer = setTimeout(() => limit.abort(new TimedOut()), timeouts.answer);
    const failed = (error: unknown, cut = false): unknown => {
      if (request.signal?.aborted === true) return reasonOf(request.signal);
      return limit.signal.aborted
        ? tooSlow(url, timeouts.answer)
        : error instanceof OriginError
          ? error
          : unreachable(url, error, cut);
    };
    try {
      const response = await fetch(url.href, {
        method: request.method,
        headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
        ...(request.body === undefined ? {} : { body: request.body }),
        redirect: 'manual',
        signal,
      });
      return {
        status: response.status,
        headers: response.headers,
        url,
        redirectedAway: url.origin !== request.url.origin,
        body: response.body,
        read: async (most = policy.maxDocument) => {
          const bodyTimer = setTimeout(() => limit.abort(new TimedOut()), timeouts.answer);
          try {
            return await readBody(response, url, Math.min(most, policy.maxDocument), request.budget);
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

  async function send(request: OriginRequest): Promise<OriginResponse> {
    request.signal?.throwIfAborted();
    let { url, authorization } = request;
    for (let hops = 0; ; hops += 1) {
      const response = await sendOnce(request, url, authorization);
      if (!REDIRECTS.has(response.status)) return response;
      await response.discard();
      if (request.method === 'POST')
        throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(url)} redirects a POST`, { status: response.status });
      if (hops >= policy.maxRedirects)
        throw new OriginError(
          'ORIGIN_POLICY',
          `${addressOf(request.url)} redirects more than ${String(policy.maxRedirects)} times`,
        );
      const decision = decideRedirect(url, response.headers.get('location'), policy);
      if (decision.kind === 'refuse')
        throw new OriginError('ORIGIN_POLICY', `${addressOf(url)}: ${decision.why}`, { status: response.status });
      if (request.redirects === 'report') return { ...response, location: decision.url };
      url = decision.url;
      if (!decision.keepCredentials) authorization = undefined;
    }
  }

  async function withRetry<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
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

  return { clock, policy, timeouts, send, withRetry };
}

/** An address for messages, without the query: a presigned URL carries its signature there. */
export function addressOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** The error for a response whose status is neither success nor 404, with the message of its body. */
export async function statusError(response: OriginResponse, now: number): Promise<OriginError> {
  const { message } = await explain(response);
  const { status, url } = response;
  const text = `${addressOf(url)} answered ${String(status)}${message === undefined ? '' : `: ${message}`}`;
  if (status === 401) return new OriginError('ORIGIN_UNAUTHORIZED', text, { status });
  if (status === 403) return new OriginError('ORIGIN_DENIED', text, { status });
  const retryAfter = parseRetryAfter(response.headers.get('retry-after'), now);
  if (status === 429) return new OriginError('ORIGIN_RATE_LIMITED', text, { status, retryAfter });
  if (isTransientStatus(status)) return new OriginError('ORIGIN_UNAVAILABLE', text, { status, retryAfter });
  return new OriginError('ORIGIN_PROTOCOL', text, { status });
}

/** Bytes of an error body that is read. */
const ERROR_MAX = 64 * 1024;

/** The first error of a response's body; empty if the body cannot be read. */
export async function explain(
  response: OriginResponse,
): Promise<{ readonly code?: string; readonly message?: string }> {
  try {
    return readErrorBody(new TextDecoder().decode(await response.read(ERROR_MAX)));
  } catch (error) {
    if (error instanceof OriginError) return {};
    throw error;
  }
}

async function readBody(
  response: FetchResponse,
  url: URL,
  max: number,
  budget: Budget | undefined,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // `Content-Length` is that of the compressed body, which `fetch` decompresses.
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
      try {
        if (length > max) throw tooLarge(url, max);
        budget?.receive(value.length);
      } catch (error) {
        await reader.cancel().catch(() => undefined);
        throw error;
      }
      chunks.push(value);
    }
    if (declared !== null && Number(declared) !== length) {
      throw new OriginError(
        'ORIGIN_UNAVAILABLE',
        `${addressOf(url)} sent ${String(length)} bytes; its Content-Length is ${declared}`,
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

async function discard(response: FetchResponse): Promise<void> {
  // Cancelling fails if the connection is already broken.
  await response.body?.cancel().catch(() => undefined);
}

function tooLarge(url: URL, max: number): OriginError {
  return new OriginError(
    'ORIGIN_LIMIT',
    `${addressOf(url)} sent more than ${String(max)} bytes where a document was expected`,
  );
}

function tooSlow(url: URL, milliseconds: number): OriginError {
  return new OriginError(
    'ORIGIN_UNAVAILABLE',
    `${addressOf(url)} did not answer within ${String(milliseconds / 1000)} s`,
  );
}

/** A signal's reason as an error. */
export function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

// Node reports the reason as the code of the TypeError's cause; workerd reports only a message.
const FAILURES: Readonly<Record<string, { readonly text: string; readonly retryable: boolean }>> = {
  ECONNREFUSED: { text: 'refuses connections', retryable: true },
  ECONNRESET: { text: 'closed the connection', retryable: true },
  ENOTFOUND: { text: 'is a host name that does not exist', retryable: false },
  EAI_AGAIN: { text: 'is a host name that could not be looked up', retryable: true },
  EHOSTUNREACH: { text: 'cannot be reached', retryable: true },
  ENETUNREACH: { text: 'cannot be reached', retryable: true },
  ETIMEDOUT: { text: 'cannot be reached: time-out', retryable: true },
  UND_ERR_CONNECT_TIMEOUT: { text: 'cannot be reached: time-out', retryable: true },
  UND_ERR_SOCKET: { text: 'closed the connection', retryable: true },
};

/** The error for a failed connection. `cut`: it broke during the response. */
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
  const text = cut
    ? 'closed the connection during its response'
    : (failure?.text ?? `cannot be reached: ${last?.message ?? String(error)}`);
  return new OriginError('ORIGIN_UNAVAILABLE', `${cut ? addressOf(url) : url.origin} ${text}`, {
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
