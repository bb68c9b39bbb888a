/** S3 requests and answers: the signed payload hash, an object's headers, and its body across broken connections. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type {
  DeleteObjectsCommand,
  GetObjectCommandOutput,
  HeadObjectCommandOutput,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type ByteRange, type ObjectInfo, StorageError } from '../../registry/store.ts';
import { freeNetworkBuffers } from '../streams/network-buffers.ts';

/**
 * Sets the signed payload hash: the body's hex sha256, which storage then checks, or `UNSIGNED-PAYLOAD` (SigV4,
 * "x-amz-content-sha256"). The client would otherwise hash the body itself, even where its hash is known.
 */
export function withPayloadHash<T extends PutObjectCommand | UploadPartCommand>(command: T, hash: string): T {
  (command as PutObjectCommand).middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = hash;
      return next(args);
    },
    { step: 'build', name: 'payloadHash', override: true },
  );
  return command;
}

/**
 * Sends DeleteObjects with `Content-MD5` (RFC 1864), which S3 requires, in place of the newer checksums that the client
 * would send: R2 and many other servers do not document them for this request (aws-sdk-js-v3#6819 has the same cure).
 */
export function withContentMd5(command: DeleteObjectsCommand): DeleteObjectsCommand {
  command.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { headers: Record<string, string>; readonly body: string | Uint8Array };
      const kept = Object.entries(request.headers).filter(([name]) => !/^x-amz-(?:sdk-)?checksum-/i.test(name));
      request.headers = {
        ...Object.fromEntries(kept),
        'content-md5': createHash('md5').update(request.body).digest('base64'),
      };
      return next(args);
    },
    // After the client's own checksums, before the signature.
    { step: 'build', priority: 'low', name: 'contentMd5', override: true },
  );
  return command;
}

/** An ETag without quotes and `W/`; empty if there is none. */
export function unquoted(etag: string | undefined): string {
  return etag?.replace(/^W\//, '').replaceAll('"', '') ?? '';
}

/** The object info in the headers of an answer. */
export function infoOf(key: string, found: HeadObjectCommandOutput | GetObjectCommandOutput, size: number): ObjectInfo {
  return {
    key,
    size,
    etag: unquoted(found.ETag),
    ...(found.ContentType === undefined ? {} : { contentType: found.ContentType }),
    metadata: Object.fromEntries(
      Object.entries(found.Metadata ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    uploaded: found.LastModified ?? new Date(0),
  };
}

/** The `Range` header of a range. */
export function rangeHeader(range: ByteRange | undefined): string | undefined {
  if (range === undefined) return undefined;
  if ('suffix' in range) return `bytes=-${String(range.suffix)}`;
  return `bytes=${String(range.offset)}-${range.length === undefined ? '' : String(range.offset + range.length - 1)}`;
}

/** How a body is read. Offset and length are in bytes. */
interface BodyReading {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
  readonly signal: AbortSignal | undefined;
  readonly resume: (at: number) => Promise<GetObjectCommandOutput | null | 'changed'>;
}

/** The most broken connections in a row without a single byte in between. */
const BREAKS = 5;

/**
 * The bytes of a body. After a broken connection it resumes from the last byte, if the object is unchanged. Throws
 * {@link StorageError}.
 */
export async function* bytesOf(
  first: GetObjectCommandOutput,
  { key, offset, length, signal, resume }: BodyReading,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  let idle = 0;
  for (let found = first; done < length;) {
    try {
      for await (const chunk of found.Body as Readable) {
        freeNetworkBuffers((chunk as Uint8Array).length);
        yield chunk as Uint8Array;
        done += (chunk as Uint8Array).length;
        idle = 0;
      }
      if (done >= length) return;
      throw new Error('the body ended early');
    } catch (error) {
      signal?.throwIfAborted();
      idle += 1;
      if (idle > BREAKS)
        throw new StorageError('STORAGE_UNAVAILABLE', `reading ${key}: the connection breaks repeatedly`, {
          cause: error,
        });
      const again = await resume(offset + done);
      if (again === null || again === 'changed')
        throw new StorageError('STORAGE_UNAVAILABLE', `reading ${key}: the object was replaced while it was read`, {
          cause: error,
        });
      found = again;
    }
  }
}
