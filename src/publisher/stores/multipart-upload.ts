/**
 * Uploads a long body in parts: several at once, each retried by itself, and without those that storage already has.
 */
import { createHash } from 'node:crypto';
import { StorageError } from '../../registry/store.ts';
import type { BufferPool } from '../streams/buffer-pool.ts';
import { anySignal, type SendRequest } from './retrying.ts';
import { abortUpload, completeUpload, createUpload, uploadPart } from './s3/requests.ts';
import { UNSIGNED_PAYLOAD } from './s3/signature.ts';
import { readFailure } from './s3-failure.ts';
import type { SentPart, UnfinishedUpload, UnfinishedUploads, UploadNotes } from './unfinished-uploads.ts';

/** The most parts of an upload in S3 and R2. */
const MAX_PARTS = 10_000;
const MIB = 2 ** 20;

/** The body and how it is uploaded. */
export interface MultipartOptions {
  readonly bucket: string;
  readonly key: string;
  readonly title: string;
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** See {@link import('../../registry/store.ts').BodyStream.verified}. */
  readonly verified: boolean;
  /** Hex sha256 of the whole; undefined if it is not known, and then the upload cannot be resumed. */
  readonly sha256: string | undefined;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly partSize: number;
  /** `hash`: storage verifies each part's sha256. `none`: the ETag of the whole is compared instead. */
  readonly checks: 'hash' | 'none';
  readonly pool: BufferPool;
  readonly uploads: UnfinishedUploads;
  readonly signal: AbortSignal | undefined;
  readonly request: SendRequest;
  /** Reads size and ETag of the object at the key. */
  readonly head: () => Promise<{ readonly size: number; readonly etag: string } | null>;
}

/**
 * Another process ended the upload: a publisher that sends the same blob, or a lifecycle rule. Sending the whole body
 * again may succeed.
 */
export class UploadEndedError extends StorageError {
  constructor(key: string, cause: unknown) {
    super('STORAGE_UNAVAILABLE', `writing ${key}: another process ended the upload`, { cause });
  }
}

/** The part size in bytes: the usual one, unless that would give more parts than storage accepts. */
export function partSizeFor(size: number, usual: number): number {
  return size <= usual * MAX_PARTS ? usual : Math.ceil(size / MAX_PARTS / MIB) * MIB;
}

/**
 * Uploads the body. It becomes visible only once complete and verified. After a failure, valid parts stay in storage so
 * that the upload can be resumed.
 */
export async function uploadInParts(options: MultipartOptions): Promise<{ readonly etag: string }> {
  const { bucket, key, uploads, request } = options;
  const resumable = options.sha256 !== undefined && Object.keys(options.metadata).length === 0;
  const found = resumable
    ? await uploads.find(key, (send) => request(`looking for unfinished uploads of ${key}`, send))
    : null;
  const upload: UnfinishedUpload = found ?? { uploadId: await begin(options), parts: [] };
  const notes = await uploads.note(key, upload);
  const abort = async (): Promise<void> => {
    await request(`aborting the upload of ${key}`, (client) =>
      abortUpload(client, { bucket, key, uploadId: upload.uploadId }),
    ).catch(
      // Storage deletes unfinished uploads after some days; the original error matters more.
      () => undefined,
    );
    await notes.ended();
  };
  try {
    const { parts, etag } = await sendParts(options, upload, notes);
    const done = await complete(options, upload.uploadId, parts, etag);
    await notes.ended();
    return done;
  } catch (error) {
    if (isGone(error)) {
      await notes.ended();
      // Another publisher resumed the same upload and completed it first.
      const there = options.sha256 === undefined ? null : await options.head();
      if (there?.size === options.size) return { etag: there.etag };
      throw new UploadEndedError(key, error);
    }
    if (
      !resumable ||
      (error instanceof StorageError && (error.code === 'DIGEST_MISMATCH' || error.code === 'STORAGE_CORRUPT'))
    )
      await abort();
    throw error;
  }
}

function begin({ bucket, key, contentType, metadata, request }: MultipartOptions): Promise<string> {
  return request(`writing ${key}`, (client) => createUpload(client, { bucket, key, contentType, metadata }));
}

/** Sends the missing parts. Returns all parts in order, and the ETag of the whole, if ETags are MD5s. */
async function sendParts(
  options: MultipartOptions,
  upload: UnfinishedUpload,
  notes: UploadNotes,
): Promise<{ parts: SentPart[]; etag: string }> {
  const { size, pool, partSize } = options;
  const there = new Map(upload.parts.map((part) => [part.number, part]));
  const parts: SentPart[] = [];
  // Bytes that the caller has verified are not hashed again.
  const whole = options.verified && options.sha256 !== undefined ? null : createHash('sha256');
  // If one part fails, the others stop.
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const sending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const reader = readExactly(options, whole);
  try {
    for (let number = 1, offset = 0; offset < size; number += 1, offset += partSize) {
      const lease = await pool.acquire(partSize, signal);
      let handedOver = false;
      try {
        const bytes = lease.buffer.subarray(0, Math.min(partSize, size - offset));
        await reader.fill(bytes);
        signal.throwIfAborted();
        const known = there.get(number);
        // MD5 costs more than all other hashes: it is computed only where it is compared now or later.
        const isCompared = known !== undefined || options.checks === 'none' || options.uploads.keepsNotes;
        const md5 = isCompared ? createHash('md5').update(bytes).digest('hex') : undefined;
        if (known?.size === bytes.length && known.md5 === md5) {
          parts.push(known);
          continue;
        }
        handedOver = true;
        const one = sendPart(options, upload.uploadId, { number, bytes, md5 }, signal)
          .then(async (part) => {
            parts.push(part);
            await notes.sent(part);
          })
          .catch((error: unknown) => {
            failure ??= { error };
            stop.abort(error);
          })
          .finally(() => {
            lease.release();
            sending.delete(one);
          });
        sending.add(one);
      } finally {
        if (!handedOver) lease.release();
      }
    }
    await reader.end();
  } catch (error) {
    failure ??= { error };
  } finally {
    // If the source fails, parts being sent may still complete; they need not be sent again.
    await Promise.all(sending);
    await reader.close();
  }
  if (failure !== undefined) throw failure.error;
  const sha256 = whole?.digest('hex') ?? options.sha256;
  if (options.sha256 !== undefined && sha256 !== options.sha256) {
    throw new StorageError(
      'DIGEST_MISMATCH',
      `writing ${options.key}: the bytes have the sha256 ${String(sha256)} instead of ${options.sha256}`,
    );
  }
  parts.sort((a, b) => a.number - b.number);
  const md5s = createHash('md5');
  for (const { md5 = '' } of parts) md5s.update(md5, 'hex');
  return { parts, etag: `${md5s.digest('hex')}-${String(parts.length)}` };
}

async function sendPart(
  { bucket, key, request, checks }: MultipartOptions,
  uploadId: string,
  { number, bytes, md5 }: { number: number; bytes: Uint8Array; md5: string | undefined },
  signal: AbortSignal,
): Promise<SentPart> {
  const payloadHash = checks === 'hash' ? createHash('sha256').update(bytes).digest('hex') : UNSIGNED_PAYLOAD;
  const size = bytes.length;
  const etag = await request(
    `writing ${key}`,
    (client, _, stop) =>
      uploadPart(client, {
        bucket,
        key,
        uploadId,
        number,
        body: bytes,
        size,
        payloadHash,
        signal: anySignal(signal, stop),
      }),
    signal,
    size,
  );
  return { number, size, md5, etag };
}

async function complete(
  options: MultipartOptions,
  uploadId: string,
  parts: readonly SentPart[],
  expected: string,
): Promise<{ etag: string }> {
  const { bucket, key, request, size, checks } = options;
  const etag = await request(`writing ${key}`, async (client, mayBeDone) => {
    try {
      return await completeUpload(client, { bucket, key, uploadId, parts });
    } catch (error) {
      // The previous attempt succeeded, and only its answer was lost.
      const there = mayBeDone && isGone(error) ? await options.head() : null;
      if (there?.size === size) return there.etag;
      throw error;
    }
  });
  if (checks === 'none' && etag !== expected) {
    throw new StorageError(
      'STORAGE_CORRUPT',
      `writing ${key}: the stored object differs from the one sent (ETag ${etag} instead of ${expected})`,
    );
  }
  return { etag };
}

/** Whether the upload no longer exists: it was completed or aborted. */
function isGone(error: unknown): boolean {
  return (error instanceof StorageError ? readFailure(error.cause) : readFailure(error)).code === 'NoSuchUpload';
}

/**
 * Reads chunks of any size into the caller's buffers, and updates the hash. A body that is too short or too long is a
 * {@link StorageError}.
 */
function readExactly({ chunks, size, key }: MultipartOptions, whole: { update(data: Uint8Array): unknown } | null) {
  const iterator = chunks[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  let finished = false;
  const next = async (): Promise<boolean> => {
    while (rest.length === 0) {
      const result = await iterator.next();
      if (result.done === true) {
        finished = true;
        return false;
      }
      rest = result.value;
    }
    return true;
  };
  return {
    async fill(into: Uint8Array): Promise<void> {
      let filled = 0;
      while (filled < into.length) {
        if (!(await next()))
          throw new StorageError(
            'DIGEST_MISMATCH',
            `writing ${key}: the body has fewer than the announced ${String(size)} bytes`,
          );
        const taken = rest.subarray(0, into.length - filled);
        into.set(taken, filled);
        filled += taken.length;
        rest = rest.subarray(taken.length);
      }
      whole?.update(into);
    },
    async end(): Promise<void> {
      if (await next())
        throw new StorageError(
          'DIGEST_MISMATCH',
          `writing ${key}: the body has more than the announced ${String(size)} bytes`,
        );
    },
    async close(): Promise<void> {
      if (!finished) await iterator.return?.();
    },
  };
}
