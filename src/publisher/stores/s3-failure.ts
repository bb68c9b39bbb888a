import { parseRetryAfter } from '../../http/retry.ts';
import { StorageError } from '../../registry/store.ts';
import { ForeignAnswerError, isForeignAbsence } from './foreign-answers.ts';
import { S3Error } from './s3/error.ts';

/** A failed S3 request. */
export interface S3Failure {
  /** The HTTP status; undefined if there was no answer. */
  readonly status: number | undefined;
  /** S3's error code, Node's system error code, or the error's name. */
  readonly code: string;
  readonly message: string;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Whether the server may have carried out the request nevertheless. */
  readonly ambiguous: boolean;
  /** `Retry-After` in milliseconds. */
  readonly retryAfter: number | undefined;
}

// Codes of S3 and R2 that can be retried although their status says otherwise. BadDigest and similar: damaged in
// transit.
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
// These errors do not go away by waiting.
const LASTING_NETWORK_CODES = new Set(['ENOTFOUND', 'ERR_INVALID_URL', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO']); // prettier-ignore

/** Classifies an error of the S3 client; undefined counts as no answer. Never throws. */
export function readFailure(error: unknown): S3Failure {
  const { name, message, code, cause } = (error ?? {}) as {
    name?: string;
    message?: string;
    code?: string;
    cause?: { code?: string };
  };
  const answer = error instanceof S3Error ? error : undefined;
  const status = answer?.status ?? (error instanceof ForeignAnswerError ? error.status : undefined);
  const shown = answer !== undefined ? (answer.code ?? 'Error') : (code ?? cause?.code ?? name ?? 'Error');
  const text = message ?? String(error);
  const isForeign = status === 404 && isForeignAbsence(answer?.code, answer?.headers['content-type']);
  const full = status === 507 || FULL.test(shown) || FULL.test(text);
  // Below 400: the answer broke off or could not be read.
  const weak =
    isForeign ||
    status === undefined ||
    status < 400 ||
    status === 408 ||
    status === 429 ||
    (status >= 500 && status !== 501);
  return {
    status,
    code: isForeign ? 'ForeignAnswer' : shown,
    message: isForeign ? 'a 404 without an error code, which is not from storage' : text,
    retryable: !full && ((weak && !LASTING_NETWORK_CODES.has(shown)) || RETRYABLE_CODES.has(shown)),
    ambiguous: status === undefined || status < 400 || status >= 500 || status === 408,
    retryAfter: parseRetryAfter(answer?.headers['retry-after'], Date.now()),
  };
}

/** Turns an error into a {@link StorageError}. `what` is the operation (e.g. `writing blobs/…`), `title` the store. */
export function storageErrorOf(error: unknown, what: string, title: string): StorageError {
  if (error instanceof StorageError) return error;
  const failure = readFailure(error);
  const { status, code, message, retryable } = failure;
  const said = message.includes(code) || code === 'Error' ? message : `${code}: ${message}`;
  if (status === 507 || FULL.test(code) || FULL.test(message))
    return new StorageError('STORAGE_FULL', `${what}: ${title} is full (${said})`, { cause: error });
  if (code === 'NoSuchBucket')
    return new StorageError(
      'STORAGE_DENIED',
      `${title}: the bucket does not exist, or the credentials do not allow access to it`,
      {
        cause: error,
      },
    );
  if (status === 401 || status === 403 || DENIED_CODES.has(code)) {
    return new StorageError('STORAGE_DENIED', `${what}: ${title} refuses the credentials (${said})`, { cause: error });
  }
  return new StorageError(
    'STORAGE_UNAVAILABLE',
    `${what}: ${title} ${status === undefined ? 'did not answer' : `answered ${String(status)}`} (${said})`,
    { cause: error, retryable },
  );
}
