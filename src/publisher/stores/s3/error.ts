import type { IncomingHttpHeaders } from 'node:http';

/** An answer of S3 that is an error. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly status: number;
  /** S3's error code; undefined if the answer has none. */
  readonly code: string | undefined;
  readonly headers: IncomingHttpHeaders;

  constructor(message: string, { status, code, headers }: Pick<S3Error, 'status' | 'code' | 'headers'>) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}
