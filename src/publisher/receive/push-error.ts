/**
 * What a push can be refused for: code → status. Codes are those of the OCI distribution spec ("Error Codes"); where it
 * leaves the status open, it is that of docker/distribution (registry/api/errcode).
 */
export const PUSH_ERRORS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  RANGE_INVALID: 416,
  SIZE_INVALID: 413,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
} as const satisfies Record<string, number>;

/** A key of {@link PUSH_ERRORS}. */
export type PushErrorCode = keyof typeof PUSH_ERRORS;

/** A request that the endpoint refuses. `message` says what happened, why, and what to do. */
export class PushError extends Error {
  override readonly name = 'PushError';
  readonly code: PushErrorCode;
  readonly status: number;
  /** Further response headers. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: PushErrorCode,
    message: string,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.status = PUSH_ERRORS[code];
    this.headers = options.headers ?? {};
  }

  /** The error envelope of the OCI distribution spec, "Error Codes". */
  body(): string {
    return JSON.stringify({ errors: [{ code: this.code, message: this.message }] });
  }
}
