/** Sends a short body in one request. */
import { createHash } from 'node:crypto';
import type { IfMatchStyle } from '../../bucket/format.ts';
import { type PutOptions, StorageError } from '../../registry/store.ts';
import { anySignal, type SendRequest } from './retrying.ts';
import { putObject } from './s3/requests.ts';
import { readFailure } from './s3-failure.ts';

/** The body and how it is sent. */
export interface WholePut extends PutOptions {
  readonly bucket: string;
  readonly key: string;
  /** The key for messages. */
  readonly title: string;
  readonly bytes: Uint8Array;
  /** How `If-Match` is written. */
  readonly ifMatch: IfMatchStyle;
  readonly request: SendRequest;
  /** Reads size and ETag of the object at the key. */
  readonly head: () => Promise<{ readonly size: number; readonly etag: string } | null>;
}

/** Sends the body. Throws {@link StorageError}. */
export async function putWhole(put: WholePut): Promise<{ readonly etag: string } | 'precondition-failed'> {
  const { bucket, key, title, bytes, contentType, metadata, sha256, onlyIf, signal, request, head } = put;
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== undefined && hash !== sha256)
    throw new StorageError(
      'DIGEST_MISMATCH',
      `writing ${title}: the bytes have the sha256 ${hash} instead of ${sha256}`,
    );
  const conditions =
    onlyIf === undefined
      ? {}
      : onlyIf === 'absent'
        ? { 'if-none-match': '*' }
        : { 'if-match': put.ifMatch === 'bare' ? onlyIf.etag : `"${onlyIf.etag}"` };
  return request(
    `writing ${title}`,
    async (client, mayBeDone, stop) => {
      try {
        const etag = await putObject(client, {
          bucket,
          key,
          body: bytes,
          size: bytes.length,
          payloadHash: hash,
          contentType,
          metadata,
          conditions,
          signal: anySignal(signal, stop),
        });
        return { etag };
      } catch (error) {
        const { status, code } = readFailure(error);
        const failed = status === 412 || (status === 404 && code === 'NoSuchKey');
        if (onlyIf === undefined || !failed) throw error;
        if (!mayBeDone) return 'precondition-failed';
        // The previous attempt may have succeeded with its answer lost: then the object is ours.
        const there = await head();
        const ours = createHash('md5').update(bytes).digest('hex');
        return there?.etag === ours && there.size === bytes.length ? { etag: there.etag } : 'precondition-failed';
      }
    },
    signal,
    bytes.length,
  );
}
