/** A body of middle length, sent in one request as it is read: nothing is kept of it, since it can be read again. */
import { Readable } from 'node:stream';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { BodyStream } from '../../registry/store.ts';
import { withPayloadHash } from './payload-hash.ts';
import { unquoted } from './s3-answer.ts';

/** Chunks that are on their way at most while the next is asked for: one in the socket, one that waits for it, and one that is handed from one to the other. */
export const STREAMED_CHUNKS = 3;

/** A body that can be streamed: see {@link canBeStreamed}. */
export type RereadableBody = BodyStream & Required<Pick<BodyStream, 'reread'>>;

/** Whether a body can be sent without being kept: checked by whoever makes it, to be had again, and in buffers that are left alone for long enough. */
export function canBeStreamed(body: BodyStream): body is RereadableBody {
  return body.verified === true && body.reread !== undefined && (body.kept ?? 0) >= STREAMED_CHUNKS;
}

/** What is sent. */
export interface StreamedPut {
  readonly bucket: string;
  readonly key: string;
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Hex, of all chunks: storage keeps the body only if it has it. */
  readonly sha256: string;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Sends one request. Throws what the client throws, or what the chunks do: `fromBody` tells which. */
export async function putStreamed(client: S3Client, put: StreamedPut): Promise<{ readonly etag: string }> {
  const { bucket, key, size, chunks, sha256, contentType, metadata, signal } = put;
  const body = Readable.from(chunks, { objectMode: false, highWaterMark: 1 });
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
    const { ETag } = await client.send(withPayloadHash(command, sha256), {
      abortSignal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
    });
    return { etag: unquoted(ETag) };
  } catch (error) {
    throw flaw === undefined ? error : new BodyError(flaw.error);
  } finally {
    // An answer may come before all was sent. What is read by then is of no use.
    body.destroy();
  }
}

/** The chunks failed, not the request. */
export class BodyError extends Error {
  override readonly name = 'BodyError';

  constructor(cause: unknown) {
    super('the body cannot be read', { cause });
  }
}
