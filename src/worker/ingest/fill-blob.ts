/**
 * Streams a blob from the upstream to the bucket and to the client at once.
 *
 * The last chunk is withheld from both until the digest of the whole blob is verified, and storage verifies it again:
 * neither receives a complete wrong blob. If the client is slow or disconnects, the bucket receives the blob
 * nevertheless. If storage fails, the client does.
 */
import { readBytes } from '../../bucket/read-object.ts';
import type { OpenBlob } from '../../origin/blob.ts';
import { OriginError } from '../../origin/errors.ts';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { StorageError } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import { within } from './single-flight.ts';

/**
 * The result of a fill: plain data, because waiting requests share it. `passed-on`: valid, but storage did not accept
 * it.
 */
export type BlobOutcome = 'stored' | 'passed-on' | 'unknown';

/** A receiver of verified bytes. Calls are sequential; a sink that throws is not called again. */
export interface Sink {
  write(chunk: Uint8Array): Promise<void>;
  /** The blob is complete and valid. */
  finish(): Promise<void>;
  /** The blob ends here, incomplete. */
  abandon(reason: unknown): Promise<void>;
}

/** Longer blobs, and those of unknown length, are stored in parts. */
export const WHOLE_UP_TO = 128 * 1024 * 1024;

/** Bytes of a part. R2 accepts 10,000 parts of at least 5 MiB, all of one size except the last. */
export const PART_SIZE = 8 * 1024 * 1024;

/** Milliseconds to wait for a client to read a chunk; a slower client receives the rest from the bucket. */
const PATIENCE = 2_000;

/**
 * Milliseconds that storage has for one step of a write: a longer step counts as failed, and the client gets the rest
 * without storage.
 */
const STORAGE_LIMIT = 10_000;

/** Where a blob is stored and sent. */
export interface FillTarget {
  readonly digest: Digest;
  readonly bucket: R2Bucket;
  readonly key: string;
  /** The client, if one waits for the blob. */
  readonly client: ClientSink | null;
  /** Keeps the request alive while a slow client gets the rest. */
  readonly keep: (work: Promise<unknown>) => void;
  /** Blobs of at most so many bytes are written whole; for tests. */
  readonly wholeUpTo?: number;
}

/**
 * Reads a blob to its end into a bucket and, if there is one, to a client. Gives whether it was stored. Throws
 * OriginError if the bytes do not have the digest or do not arrive: then nothing is stored, and the client's response
 * is cut off.
 */
export async function fillBlob(
  { size, chunks }: Pick<OpenBlob, 'size' | 'chunks'>,
  { digest, key, bucket, client, keep, wholeUpTo = WHOLE_UP_TO }: FillTarget,
): Promise<'stored' | 'passed-on'> {
  const whole = size !== undefined && size <= wholeUpTo;
  const storage = new Guarded(
    whole ? wholeObject(bucket, key, digest, size) : objectInParts(bucket, key),
    STORAGE_LIMIT,
  );
  const sinks = client === null ? [storage] : [storage, new Guarded(client)];
  const hash = new crypto.DigestStream(algorithmOf(digest) === 'sha512' ? 'SHA-512' : 'SHA-256');
  // Awaited below, unless reading fails first.
  hash.digest.catch(() => undefined);
  const hashing = hash.getWriter();
  let held: Uint8Array | undefined;
  let length = 0;
  try {
    for await (const chunk of chunks) {
      length += chunk.length;
      if (size !== undefined && length > size)
        throw new OriginError('ORIGIN_PROTOCOL', `${digest} has more than ${String(size)} bytes`);
      const previous = held;
      await Promise.all([
        hashing.write(chunk),
        ...(previous === undefined ? [] : sinks.map((sink) => sink.write(previous))),
      ]);
      held = chunk;
      if (sinks.every(({ broken }) => broken !== null))
        throw new StorageError('STORAGE_UNAVAILABLE', String(storage.broken?.reason));
    }
    await hashing.close();
    if (size !== undefined && length !== size)
      throw new OriginError('ORIGIN_PROTOCOL', `${digest} has ${String(length)} bytes, not ${String(size)}`);
    const found = `${algorithmOf(digest)}:${hexOfBytes(new Uint8Array(await hash.digest))}`;
    if (found !== digest) throw new OriginError('ORIGIN_PROTOCOL', `the content of ${digest} has the digest ${found}`);
  } catch (error) {
    await Promise.all([...sinks.map((sink) => sink.abandon(error)), hashing.abort(error).catch(() => undefined)]);
    throw error;
  }
  const last = held;
  await Promise.all(
    sinks.map(async (sink) => {
      if (last !== undefined) await sink.write(last);
      await sink.finish();
    }),
  );
  if (storage.broken === null) {
    if (client?.isBehind() === true) keep(client.catchUp(bucket, key).catch(() => undefined));
    return 'stored';
  }
  await client?.leaveBehind(storage.broken.reason);
  logFailure('blob-not-stored', { digest, message: String(storage.broken.reason) });
  return 'passed-on';
}

/**
 * A client as a sink. A slow client falls behind and receives the rest from the bucket, so that it does not delay
 * storage.
 */
export interface ClientSink extends Sink {
  /** Whether it fell behind. */
  isBehind(): boolean;
  /** Sends the rest from the stored blob. */
  catchUp(bucket: R2Bucket, key: string): Promise<void>;
  /** Cuts off a client that fell behind. */
  leaveBehind(reason: unknown): Promise<void>;
}

/** A client's side of a fill: the body of its response, and the sink that feeds it. */
export function clientSink(size: number): { readonly body: ReadableStream<Uint8Array>; readonly sink: ClientSink } {
  const { readable, writable } = new FixedLengthStream(size);
  const writer = writable.getWriter();
  let sent = 0;
  let behind: Promise<void> | null = null;
  const abandon = async (reason: unknown): Promise<void> => {
    await writer.abort(reason);
  };
  return {
    body: readable,
    sink: {
      write: async (chunk) => {
        if (behind !== null) return;
        sent += chunk.length;
        const taken = writer.write(chunk);
        if ((await within(PATIENCE, taken, LATE)) === LATE) behind = taken;
      },
      finish: async () => {
        if (behind === null) await within(PATIENCE, writer.close(), LATE);
      },
      abandon,
      isBehind: () => behind !== null,
      leaveBehind: (reason) => (behind === null ? Promise.resolve() : abandon(reason).catch(() => undefined)),
      catchUp: async (bucket, key) => {
        try {
          await behind;
          const object =
            sent < size ? await withLimit(bucket.get(key, { range: { offset: sent } }), STORAGE_LIMIT) : null;
          if (sent < size && object === null) throw new Error('the blob no longer exists');
          if (object !== null)
            for await (const chunk of readBytes(object.body as ReadableStream<Uint8Array>).pass(size - sent))
              await writer.write(chunk);
          await writer.close();
        } catch (error) {
          await abandon(error).catch(() => undefined);
        }
      },
    },
  };
}

const LATE = Symbol('late');

/** A sink whose failure does not affect the others. */
class Guarded implements Sink {
  broken: { readonly reason: unknown } | null = null;
  private readonly sink: Sink;
  private readonly limit: number | null;

  /** `limit`: milliseconds that one step may take; null for a sink that has a limit of its own. */
  constructor(sink: Sink, limit: number | null = null) {
    this.sink = sink;
    this.limit = limit;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.unlessBroken(() => this.sink.write(chunk));
  }

  finish(): Promise<void> {
    return this.unlessBroken(() => this.sink.finish());
  }

  async abandon(reason: unknown): Promise<void> {
    this.broken ??= { reason };
    // Storage that hangs may hang here too, and nobody needs the result.
    await within(
      PATIENCE,
      this.sink.abandon(reason).catch(() => undefined),
      LATE,
    );
  }

  private async unlessBroken(act: () => Promise<void>): Promise<void> {
    if (this.broken !== null) return;
    try {
      await withLimit(act(), this.limit);
    } catch (reason) {
      await this.abandon(reason);
    }
  }
}

/** The result of a step of storage. Throws StorageError if it takes longer than the limit, in milliseconds. */
async function withLimit<T>(step: Promise<T>, limit: number | null): Promise<T> {
  if (limit === null) return step;
  // Ignore errors after the limit.
  step.catch(() => undefined);
  const result = await within(limit, step, LATE);
  if (result === LATE)
    throw new StorageError('STORAGE_UNAVAILABLE', `storage gave no answer within ${String(limit)} ms`);
  return result;
}

/** An object of known length: one write, whose digest storage verifies. */
function wholeObject(bucket: R2Bucket, key: string, digest: Digest, size: number): Sink {
  const { readable, writable } = new FixedLengthStream(size);
  const writer = writable.getWriter();
  const check = algorithmOf(digest) === 'sha512' ? { sha512: hexOf(digest) } : { sha256: hexOf(digest) };
  const put = bucket.put(key, readable, { httpMetadata: { contentType: MEDIA_TYPES.octetStream }, ...check });
  // If storage fails early, nobody reads the stream any more, and a write would never settle.
  const failed = new Promise<never>((_, reject) => {
    put.catch((cause: unknown) => reject(cause instanceof Error ? cause : new Error(String(cause))));
  });
  failed.catch(() => undefined);
  return {
    write: (chunk) => Promise.race([writer.write(chunk), failed]),
    finish: async () => {
      await Promise.race([writer.close(), failed]);
      await put;
    },
    abandon: async (reason) => {
      await writer.abort(reason);
    },
  };
}

/** An object in parts, which exists only once the last part is stored. Its digest is verified by then. */
function objectInParts(bucket: R2Bucket, key: string): Sink {
  let upload: Promise<R2MultipartUpload> | undefined;
  const parts: R2UploadedPart[] = [];
  let buffer = new Uint8Array(PART_SIZE);
  let filled = 0;
  const begin = (): Promise<R2MultipartUpload> =>
    (upload ??= bucket.createMultipartUpload(key, { httpMetadata: { contentType: MEDIA_TYPES.octetStream } }));

  async function sendPart(): Promise<void> {
    const part = buffer.subarray(0, filled);
    const { uploadPart } = await withMethods(begin());
    parts.push(await twice(() => uploadPart(parts.length + 1, part)));
    buffer = new Uint8Array(PART_SIZE);
    filled = 0;
  }

  return {
    write: async (chunk) => {
      for (let rest = chunk; rest.length > 0;) {
        const taken = rest.subarray(0, PART_SIZE - filled);
        buffer.set(taken, filled);
        filled += taken.length;
        rest = rest.subarray(taken.length);
        if (filled === PART_SIZE) await sendPart();
      }
    },
    finish: async () => {
      if (filled > 0 || parts.length === 0) await sendPart();
      const { complete } = await withMethods(begin());
      await complete(parts);
    },
    abandon: async () => {
      if (upload !== undefined) await (await upload).abort();
    },
  };
}

async function withMethods(upload: Promise<R2MultipartUpload>): Promise<{
  readonly uploadPart: (number: number, part: Uint8Array) => Promise<R2UploadedPart>;
  readonly complete: (parts: R2UploadedPart[]) => Promise<R2Object>;
}> {
  const begun = await upload;
  return { uploadPart: (number, part) => begun.uploadPart(number, part), complete: (parts) => begun.complete(parts) };
}

async function twice<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch {
    return work();
  }
}

function hexOfBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
