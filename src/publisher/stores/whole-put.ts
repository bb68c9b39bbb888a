/** Sends a short body in one request. */
import { createHash } from 'node:crypto';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { IfMatchStyle } from '../../bucket/format.ts';
import { type PutOptions, StorageError } from '../../registry/store.ts';
import { anySignal, type SendRequest } from './retrying.ts';
import { unquoted, withPayloadHash } from './s3-messages.ts';
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
  return request(
    `writing ${title}`,
    async (client, mayBeDone, stop) => {
      const abort = anySignal(signal, stop);
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: bytes,
        ContentLength: bytes.length,
        ContentType: contentType,
        ...(metadata === undefined ? {} : { Metadata: { ...metadata } }),
        ...(onlyIf === undefined
          ? {}
          : onlyIf === 'absent'
            ? { IfNoneMatch: '*' }
            : { IfMatch: put.ifMatch === 'bare' ? onlyIf.etag : `"${onlyIf.etag}"` }),
      });
      try {
        const { ETag } = await client.send(
          withPayloadHash(command, hash),
          abort === undefined ? {} : { abortSignal: abort },
        );
        return { etag: unquoted(ETag) };
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
