/**
 * Answers that are not storage's: those of a proxy, a captive portal or a load balancer on the way. They are failures
 * that may pass. Taken for storage's, a page of HTML with status 200 is a written object, an existing one, or an empty
 * listing, and with status 404 an absent object.
 */
import type { S3Client } from '@aws-sdk/client-s3';

/** What an answer of S3 to a request has at least (Amazon S3 API reference, "Response Syntax" of each action). */
const REQUIRED: Readonly<Record<string, string>> = {
  ListObjectsV2Command: 'IsTruncated',
  HeadObjectCommand: 'ETag',
  GetObjectCommand: 'ETag',
  PutObjectCommand: 'ETag',
  CreateMultipartUploadCommand: 'UploadId',
  UploadPartCommand: 'ETag',
  CompleteMultipartUploadCommand: 'ETag',
  ListMultipartUploadsCommand: 'IsTruncated',
  ListPartsCommand: 'IsTruncated',
};

/** An answer with a status of success that is not storage's. The status says that the request may be repeated. */
export class ForeignAnswerError extends Error {
  override readonly name = 'ForeignAnswerError';
  readonly $metadata: { readonly httpStatusCode: number };

  constructor(what: string, status: number) {
    super(`the answer is not from storage: ${what}`);
    this.$metadata = { httpStatusCode: status };
  }
}

/** Makes a client throw {@link ForeignAnswerError} for such answers. */
export function refuseForeignAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const result = await next(args);
        const { $metadata, ...output } = result.output as { $metadata: { httpStatusCode?: number } } & Record<
          string,
          unknown
        >;
        const required = Object.hasOwn(REQUIRED, commandName) ? REQUIRED[commandName] : undefined;
        if (required !== undefined && output[required] === undefined) {
          // The body of such an answer would keep its connection.
          (output.Body as { destroy?: () => void } | undefined)?.destroy?.();
          throw new ForeignAnswerError(`it has no ${required}`, $metadata.httpStatusCode ?? 200);
        }
        return result;
      },
    { step: 'initialize', name: 'refuseForeignAnswers', override: true },
  );
}

/**
 * Whether a 404 comes from storage: its error code says so, or its answer to HEAD, which has no body, is no text
 * (servers send `application/xml`, or no type).
 */
export function isForeignAbsence(code: string | undefined, contentType: string | undefined): boolean {
  return code === undefined && contentType !== undefined && /^text\/(?!xml)/i.test(contentType);
}
