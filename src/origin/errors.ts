import { objectOf, parseJson } from '../registry/values/json.ts';
/** How a request to an upstream can fail. A 404 is not a failure but a {@link NotFound}. */
export type OriginErrorCode =
  /** 401: credentials are required, or were refused. */
  | 'ORIGIN_UNAUTHORIZED'
  /** 403: the credentials do not allow this. */
  | 'ORIGIN_DENIED'
  /** 429; `retryAfter` may say for how long. */
  | 'ORIGIN_RATE_LIMITED'
  /** Not reached, too slow, connection broken, or 5xx: may work later. */
  | 'ORIGIN_UNAVAILABLE'
  /** An invalid response: wrong digest, wrong length, not JSON, an endless list. It is never stored. */
  | 'ORIGIN_PROTOCOL'
  /** More than the limits allow: a manifest, blob or image that is too large. The same request fails again. */
  | 'ORIGIN_LIMIT'
  /** A redirect or link that the policy forbids: to plain http, too many, or a list page on another host. */
  | 'ORIGIN_POLICY';

/** A failed request to an upstream. */
export class OriginError extends Error {
  override readonly name = 'OriginError';
  readonly code: OriginErrorCode;
  /** The HTTP status, if there was a response. */
  readonly status: number | undefined;
  /** Milliseconds to wait by the upstream's `Retry-After`. */
  readonly retryAfter: number | undefined;
  /** Whether the same request may succeed later. */
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

/** The upstream answered that it does not have this. */
export interface NotFound {
  readonly kind: 'not-found';
  /** Its first error code, e.g. `MANIFEST_UNKNOWN` or `NAME_UNKNOWN`; absent if it gave none. */
  readonly code?: string;
  /** Its message, in one line. */
  readonly message?: string;
}

/**
 * Error codes that say of a 404 that there is no such repository, manifest or blob: those of the OCI distribution spec
 * ("Error Codes"), and `NOT_FOUND` (Harbor), `TAG_EXPIRED` (Quay), `MANIFEST_BLOB_UNKNOWN` (distribution, ECR) and
 * `404` (crane of Pulp 2). `UNKNOWN` is the spec's code for any other failure, so it proves nothing.
 */
const ABSENCE_CODES: ReadonlySet<string | undefined> = new Set([
  'MANIFEST_UNKNOWN',
  'NAME_UNKNOWN',
  'BLOB_UNKNOWN',
  'MANIFEST_BLOB_UNKNOWN',
  'NAME_INVALID',
  'UNSUPPORTED',
  'NOT_FOUND',
  'TAG_EXPIRED',
  '404',
]);

/** Whether the body of a 404 comes from a registry that does not have this, and not from a proxy or a broken server. */
export function provesAbsence({ code }: ErrorBody): boolean {
  return ABSENCE_CODES.has(code);
}

/** The first error of an error body. */
export interface ErrorBody {
  readonly code?: string;
  readonly message?: string;
}

/** Longest upstream message that is reported, in characters. */
const MESSAGE_MAX = 300;

/** Reads an error body (OCI distribution spec, "Error Codes"; also `{"details": …}` of token services). */
export function readErrorBody(text: string): ErrorBody {
  const { errors, details } = objectOf(parseJson(text));
  const first: unknown = Array.isArray(errors) ? errors[0] : { message: details };
  const { code, message } = objectOf(first);
  return {
    ...(typeof code === 'string' && code !== '' ? { code: oneLine(code) } : {}),
    ...(typeof message === 'string' && message !== '' ? { message: oneLine(message) } : {}),
  };
}

// The text goes to terminals and logs: remove control characters and limit its length.
function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, MESSAGE_MAX);
}
