/** A body of middle length, sent in one request as it is read: nothing is kept of it, since it can be read again. */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { type BodyStream, type PutOptions, StorageError } from '../../registry/store.ts';
import { STREAMED_CHUNKS, STREAMED_MIN } from '../streams/buffer-sizes.ts';
import type { SendRequest } from './retrying.ts';
import { unquoted, withPayloadHash } from './s3-messages.ts';
import { readFailure, type S3Failure } from './s3-failure.ts';

/** A body that can be streamed: see {@link canBeStreamed}. */
export type RereadableBody = BodyStream & Required<Pick<BodyStream, 'reread'>>;

/** Whether a body is worth being sent without being kept, and can be: checked by whoever makes it, to be had again, and in buffers that are left alone for long enough. */
export function canBeStreamed(body: BodyStream): body is RereadableBody {
  return (
    body.size >= STREAMED_MIN &&
    body.verified === true &&
    body.reread !== undefined &&
    (body.validChunks ?? 0) >= STREAMED_CHUNKS
  );
}

/** How it is sent. */
export interface StreamedPut extends Pick<PutOptions, 'contentType' | 'metadata' | 'signal'> {
  readonly bucket: string;
  readonly key: string;
  /** The key for messages. */
  readonly title: string;
  /** Hex, of the whole: what is signed. Storage keeps the body only if it has it. */
  readonly sha256: string;
  /** See {@link import('./multipart-upload.ts').MultipartOptions.checks}. */
  readonly checks: 'hash' | 'none';
  readonly request: SendRequest;
  /** Sends it in another way, which keeps what it sends: once a connection broke in its midst, or where the body is dear. */
  readonly orElse?:
    ((chunks: AsyncIterable<Uint8Array>) => Promise<{ readonly etag: string } | 'precondition-failed'>) | undefined;
}

/** Sends the body, and reads it anew for another try. Throws {@link StorageError}; DIGEST_MISMATCH where the body could not be read, with the reason as its cause. */
export function putStreamed(
  { size, chunks, reread, expensiveToReread = false }: RereadableBody,
  put: StreamedPut,
): Promise<{ readonly etag: string } | 'precondition-failed'> {
  let failed: S3Failure | undefined;
  return put.request(`writing ${put.title}`, async (client) => {
    const body = failed === undefined ? chunks : reread(failed.message);
    if (failed !== undefined && (expensiveToReread || failed.status === undefined) && put.orElse !== undefined)
      return put.orElse(body);
    try {
      return await sendOnce(client, put, size, body);
    } catch (error) {
      // What is wrong with the body is no failure of the store.
      if (error instanceof BodyError)
        throw new StorageError('DIGEST_MISMATCH', `writing ${put.title}: ${error.message}`, { cause: error.cause });
      failed = readFailure(error);
      throw error;
    }
  });
}

/** Sends one request. Throws what the client throws, or {@link BodyError}. */
async function sendOnce(
  client: S3Client,
  put: StreamedPut,
  size: number,
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly etag: string }> {
  const { bucket, key, sha256, contentType, metadata, signal } = put;
  // The etag of what goes in one request is its MD5.
  const md5 = put.checks === 'none' ? createHash('md5') : null;
  const body = Readable.from(md5 === null ? chunks : hashed(chunks, md5), { objectMode: false, highWaterMark: 1 });
  // A request does not end by itself when its body breaks off.
  const stop = new AbortController();
  let flaw: { readonly error: unknown } | undefined;
  body.on('error', (error) => {
    flaw ??= { error };
    stop.abort(error);
  });
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: body,
    ContentLength: size,
    ContentType: contentType,
    ...(metadata === undefined ? {} : { Metadata: { ...metadata } }),
  });
  try {
    const { ETag } = await client.send(withPayloadHash(command, md5 === null ? sha256 : 'UNSIGNED-PAYLOAD'), {
      abortSignal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
    });
    const etag = unquoted(ETag);
    const expected = md5?.digest('hex') ?? etag;
    if (etag !== expected) {
      throw new StorageError(
        'STORAGE_CORRUPT',
        `writing ${put.title}: what was stored is not what was sent (etag ${etag} instead of ${expected})`,
      );
    }
    return { etag };
  } catch (error) {
    throw flaw === undefined ? error : new BodyError(flaw.error);
  } finally {
    // An answer may come before all was sent: what is read by then is of no use, and the connection would wait for the rest of it.
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

/** The chunks failed, not the request. */
class BodyError extends Error {
  override readonly name = 'BodyError';

  constructor(cause: unknown) {
    super('the body cannot be read', { cause });
  }
}
