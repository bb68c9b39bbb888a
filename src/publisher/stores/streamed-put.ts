/** Sends a body in one request as it is read. It is not buffered, since its source can be read again. */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { BodyError, type BodyStream, type PutOptions, StorageError } from '../../registry/store.ts';
import { STREAMED_CHUNKS, STREAMED_MIN } from '../streams/buffer-sizes.ts';
import { anySignal, type SendRequest } from './retrying.ts';
import type { S3Client } from './s3/client.ts';
import { putObject } from './s3/requests.ts';
import { UNSIGNED_PAYLOAD } from './s3/signature.ts';
import { readFailure, type S3Failure } from './s3-failure.ts';

/** A body that can be streamed: see {@link canBeStreamed}. */
export type RereadableBody = BodyStream & Required<Pick<BodyStream, 'reread'>>;

/**
 * Whether a body can be streamed: long enough, verified by its producer, readable again, and in buffers that stay valid
 * long enough.
 */
export function canBeStreamed(body: BodyStream): body is RereadableBody {
  return (
    body.size >= STREAMED_MIN &&
    body.verified === true &&
    body.reread !== undefined &&
    (body.validChunks ?? 0) >= STREAMED_CHUNKS
  );
}

/** How a streamed body is sent. */
export interface StreamedPut extends Pick<PutOptions, 'contentType' | 'metadata' | 'signal'> {
  readonly bucket: string;
  readonly key: string;
  /** The key for messages. */
  readonly title: string;
  /** Hex sha256 of the whole, which is signed. Storage refuses a body with another one. */
  readonly sha256: string;
  /** See {@link import('./multipart-upload.ts').MultipartOptions.checks}. */
  readonly checks: 'hash' | 'none';
  readonly request: SendRequest;
  /** Sends the body buffered instead: after a broken connection, or if it is expensive to read again. */
  readonly orElse?:
    ((chunks: AsyncIterable<Uint8Array>) => Promise<{ readonly etag: string } | 'precondition-failed'>) | undefined;
}

/**
 * Sends the body, and reads it again for each retry. Throws {@link StorageError}; DIGEST_MISMATCH, with the cause, if
 * the body cannot be read.
 */
export function putStreamed(
  { size, chunks, reread, expensiveToReread = false }: RereadableBody,
  put: StreamedPut,
): Promise<{ readonly etag: string } | 'precondition-failed'> {
  let failed: S3Failure | undefined;
  return put.request(
    `writing ${put.title}`,
    async (client, _, stop) => {
      const body = failed === undefined ? chunks : reread(failed.message);
      if (failed !== undefined && (expensiveToReread || failed.status === undefined) && put.orElse !== undefined)
        return put.orElse(body);
      try {
        return await sendOnce(client, put, size, body, stop);
      } catch (error) {
        // An error of the source is not a failure of the store.
        if (error instanceof BodyError)
          throw new StorageError('DIGEST_MISMATCH', `writing ${put.title}: ${error.message}`, { cause: error.cause });
        failed = readFailure(error);
        throw error;
      }
    },
    put.signal,
    size,
  );
}

/** Sends one request. Throws errors of the client, or {@link BodyError}. */
async function sendOnce(
  client: S3Client,
  put: StreamedPut,
  size: number,
  chunks: AsyncIterable<Uint8Array>,
  noSpace: AbortSignal | undefined,
): Promise<{ readonly etag: string }> {
  const { bucket, key, sha256, contentType, metadata, signal } = put;
  // The ETag of a body sent in one request is its MD5.
  const md5 = put.checks === 'none' ? createHash('md5') : null;
  const body = Readable.from(md5 === null ? chunks : hashed(chunks, md5), { objectMode: false, highWaterMark: 1 });
  // A request does not end by itself when its body fails.
  const stop = new AbortController();
  let sourceError: { readonly error: unknown } | undefined;
  body.on('error', (error) => {
    sourceError ??= { error };
    stop.abort(error);
  });
  try {
    const etag = await putObject(client, {
      bucket,
      key,
      body,
      size,
      payloadHash: md5 === null ? sha256 : UNSIGNED_PAYLOAD,
      contentType,
      metadata,
      signal: anySignal(signal, noSpace, stop.signal),
    });
    const expected = md5?.digest('hex') ?? etag;
    if (etag !== expected) {
      throw new StorageError(
        'STORAGE_CORRUPT',
        `writing ${put.title}: the stored object differs from the one sent (ETag ${etag} instead of ${expected})`,
      );
    }
    return { etag };
  } catch (error) {
    throw sourceError === undefined ? error : new BodyError(sourceError.error);
  } finally {
    // If the answer comes before the whole body was sent, the connection would wait for the rest.
    if (!body.readableEnded) stop.abort();
    body.destroy();
  }
}

async function* hashed(chunks: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
