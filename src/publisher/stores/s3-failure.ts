import { parseRetryAfter } from '../../http/retry.ts';
import { StorageError } from '../../registry/store.ts';

/** What came of a request that did not give what was asked. */
export interface S3Failure {
  /** HTTP status; undefined where no answer came. */
  readonly status: number | undefined;
  /** S3's error code, Node's system error code, or the error's name. */
  readonly code: string;
  readonly message: string;
  /** Whether the same request may work later. */
  readonly retryable: boolean;
  /** Whether the other side may have done what was asked all the same. */
  readonly ambiguous: boolean;
  /** What `Retry-After` says, in milliseconds. */
  readonly retryAfter: number | undefined;
}

// The codes with which S3 and R2 say "again, please" though the status alone would not. BadDigest and its kin: bytes that were damaged on the way.
const RETRYABLE_CODES = new Set([
  'RequestTimeout', 'SlowDown', 'InternalError', 'ServiceUnavailable', 'OperationAborted', 'ConditionalRequestConflict', 'TooManyRequests', 'ThrottlingException',
  'BadDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch', 'IncompleteBody', 'RequestTimeTooSkewed',
]); // prettier-ignore
const DENIED_CODES = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'Unauthorized',
  'ExpiredToken',
  'InvalidToken',
  'AccountProblem',
  'NotEntitled',
]);
const FULL = /ENOSPC|EDQUOT|no space left|disk is full|SQLITE_FULL|quota ?exceeded|storage ?full/i;
// A name that does not exist does not begin to exist while we wait.
const LASTING_NETWORK_CODES = new Set(['ENOTFOUND', 'ERR_INVALID_URL', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO']); // prettier-ignore

/** Reads what the S3 client threw; nothing at all counts as no answer. Never throws. */
export function readFailure(error: unknown): S3Failure {
  const { name, message, code, Code, $metadata, $response, cause } = (error ?? {}) as {
    name?: string;
    message?: string;
    code?: string;
    Code?: string;
    $metadata?: { httpStatusCode?: number };
    $response?: { headers?: Record<string, string>; statusCode?: number };
    cause?: { code?: string };
  };
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  const shown = Code ?? code ?? cause?.code ?? name ?? 'Error';
  const text = message ?? String(error);
  const full = status === 507 || FULL.test(shown) || FULL.test(text);
  // Below 400: an answer that broke off or could not be read.
  const weak =
    status === undefined || status < 400 || status === 408 || status === 429 || (status >= 500 && status !== 501);
  return {
    status,
    code: shown,
    message: text,
    retryable: !full && ((weak && !LASTING_NETWORK_CODES.has(shown)) || RETRYABLE_CODES.has(shown)),
    ambiguous: status === undefined || status < 400 || status >= 500 || status === 408,
    retryAfter: parseRetryAfter($response?.headers?.['retry-after'], Date.now()),
  };
}

/** Says what a failure means for whoever wanted `what` (e.g. `writing blobs/…`) of the store `title`. */
export function storageErrorOf(error: unknown, what: string, title: string): StorageError {
  if (error instanceof StorageError) return error;
  const failure = readFailure(error);
  const { status, code, message, retryable } = failure;
  const said = message.includes(code) || code === 'Error' ? message : `${code}: ${message}`;
  if (status === 507 || FULL.test(code) || FULL.test(message))
    return new StorageError('STORAGE_FULL', `${what}: ${title} is full (${said})`, { cause: error });
  if (code === 'NoSuchBucket')
    return new StorageError('STORAGE_DENIED', `${title}: there is no such bucket, or these credentials do not see it`, {
      cause: error,
    });
  if (status === 401 || status === 403 || DENIED_CODES.has(code)) {
    return new StorageError('STORAGE_DENIED', `${what}: ${title} refuses the credentials (${said})`, { cause: error });
  }
  return new StorageError(
    'STORAGE_UNAVAILABLE',
    `${what}: ${title} ${status === undefined ? 'did not answer' : `answered ${String(status)}`} (${said})`,
    { cause: error, retryable },
  );
}
