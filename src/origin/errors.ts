/** What can go wrong with an upstream, other than that it does not have something. */
export type OriginErrorCode =
  /** It wants other credentials, or any. */
  | 'ORIGIN_UNAUTHORIZED'
  /** It knows who asks, and says no. */
  | 'ORIGIN_DENIED'
  /** 429; `retryAfter` may tell for how long. */
  | 'ORIGIN_RATE_LIMITED'
  /** Not reached, too slow, cut off, or 5xx: may work later. */
  | 'ORIGIN_UNAVAILABLE'
  /** It answered, but not as a registry does: wrong digest, wrong length, garbage, an endless list. Never believed, never stored. */
  | 'ORIGIN_PROTOCOL'
  /** It sends us where our policy does not go: to plain http, in circles, to another host with a list's next page. */
  | 'ORIGIN_POLICY';

/** An upstream that could not be asked, or whose answer cannot be used. That it does not have something is no error but a {@link NotFound}. */
export class OriginError extends Error {
  override readonly name = 'OriginError';
  readonly code: OriginErrorCode;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** Milliseconds that the upstream asks to wait. */
  readonly retryAfter: number | undefined;
  /** Whether the same question may be answered later without anybody doing anything. */
  readonly retryable: boolean;

  constructor(
    code: OriginErrorCode,
    message: string,
    options: {
      status?: number | undefined;
      retryAfter?: number | undefined;
      retryable?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.retryable = options.retryable ?? (code === 'ORIGIN_UNAVAILABLE' || code === 'ORIGIN_RATE_LIMITED');
  }
}

/** The upstream was asked and does not have it. */
export interface NotFound {
  readonly kind: 'not-found';
  /** Its first error code, e.g. `MANIFEST_UNKNOWN` or `NAME_UNKNOWN`; absent if it gave none. */
  readonly code?: string;
  /** What it says, for people; one line. */
  readonly message?: string;
}

/** What an upstream's error body says. */
export interface ErrorBody {
  readonly code?: string;
  readonly message?: string;
}

/** Longest message of an upstream that is passed on, in characters. */
const MESSAGE_MAX = 300;

/** Reads an error body (OCI distribution spec, "Error Codes"; also `{"details": …}` of token services); empty where it says nothing readable. */
export function readErrorBody(text: string): ErrorBody {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {};
  }
  const { errors, details } = (typeof value === 'object' && value !== null ? value : {}) as {
    errors?: unknown;
    details?: unknown;
  };
  const first: unknown = Array.isArray(errors) ? errors[0] : { message: details };
  const { code, message } = (typeof first === 'object' && first !== null ? first : {}) as {
    code?: unknown;
    message?: unknown;
  };
  return {
    ...(typeof code === 'string' && code !== '' ? { code: oneLine(code) } : {}),
    ...(typeof message === 'string' && message !== '' ? { message: oneLine(message) } : {}),
  };
}

// An upstream's text ends in terminals and logs: no control characters, no novels.
function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, MESSAGE_MAX);
}
