/** A bucket behind the S3 API: R2, the local store, or another server. */
import { forEachLimit } from '../../bucket/concurrency.ts';
import type { IfMatchStyle } from '../../bucket/format.ts';
import { withRetry } from '../../bucket/retry.ts';
import type { RetryPolicy } from '../../http/retry.ts';
import {
  type BodyStream,
  type DeleteFence,
  type GetOptions,
  type ListedObject,
  type ObjectInfo,
  type PutOptions,
  StorageError,
  type StoredObject,
  type WriteStore,
} from '../../registry/store.ts';
import { bufferSizeFor, type BufferPool, createBufferPool } from '../streams/buffer-pool.ts';
import { PART_SIZE, POOL_SIZE, STREAMED_MAX } from '../streams/buffer-sizes.ts';
import type { Connection } from './connection.ts';
import { deleteFenced } from './fenced-delete.ts';
import { partSizeFor, UploadEndedError, uploadInParts } from './multipart-upload.ts';
import { S3_RETRY, type SendRequest, sendRetrying, type WriteGuard } from './retrying.ts';
import type { S3Client } from './s3/client.ts';
import {
  deleteObjects,
  getObject,
  headObject,
  listObjects,
  type ObjectAnswer,
  type ObjectPage,
} from './s3/requests.ts';
import { bytesOf, infoOf, rangeHeader } from './s3-messages.ts';
import { CHECKED_MAX, hasMd5Etag, readChecked } from './checked-read.ts';
import { readFailure } from './s3-failure.ts';
import { canBeStreamed, putStreamed } from './streamed-put.ts';
import type { UnfinishedUploads } from './unfinished-uploads.ts';
import { putWhole } from './whole-put.ts';

/** Fenced deletions at once. */
const FENCED_AT_ONCE = 32;

/** The most keys of one DeleteObjects request. */
const DELETE_AT_ONCE = 1000;

/** The result of a write. */
type Put = { readonly etag: string } | 'precondition-failed';

/** How a bucket is reached. */
export interface S3StoreOptions {
  readonly connection: Connection;
  readonly bucket: string;
  /** The prefix of all keys in storage; empty, or ending in `/`. */
  readonly prefix?: string;
  /** For messages. */
  readonly title: string;
  readonly uploads: UnfinishedUploads;
  /** See {@link import('./multipart-upload.ts').MultipartOptions.checks}. */
  readonly checks?: 'hash' | 'none';
  readonly retry?: RetryPolicy;
  /** Called around each request that writes a body. */
  readonly guard?: WriteGuard;
  /** How `If-Match` is written for a PUT; default `quoted`. Every server takes it quoted for a GET. */
  readonly ifMatch?: IfMatchStyle;
  /** The longest body that is streamed, in bytes. */
  readonly streamedMax?: number;
  /** Whether a streamed body is streamed again after a broken connection, not sent in parts then. */
  readonly staysWhole?: boolean;
  /** In bytes; at least S3's 5 MiB. */
  readonly partSize?: number;
  /** The most memory for buffered bodies, in bytes. */
  readonly poolSize?: number;
}

/**
 * Reads and writes a bucket over S3. Requests are retried where that can help; a permanent failure is a {@link
 * StorageError}.
 */
export class S3Store implements WriteStore {
  readonly #connection: Connection;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #title: string;
  readonly #uploads: UnfinishedUploads;
  readonly #checks: 'hash' | 'none';
  readonly #retry: RetryPolicy;
  readonly #ifMatch: IfMatchStyle;
  readonly #guard: WriteGuard | undefined;
  readonly #streamedMax: number;
  readonly #staysWhole: boolean;
  readonly #partSize: number;
  readonly #pool: BufferPool;
  #hasMd5Etags = true;

  constructor(options: S3StoreOptions) {
    this.#connection = options.connection;
    this.#bucket = options.bucket;
    this.#prefix = options.prefix ?? '';
    this.#title = options.title;
    this.#uploads = options.uploads;
    this.#checks = options.checks ?? 'hash';
    this.#retry = options.retry ?? S3_RETRY;
    this.#ifMatch = options.ifMatch ?? 'quoted';
    this.#guard = options.guard;
    this.#streamedMax = options.streamedMax ?? STREAMED_MAX;
    this.#staysWhole = options.staysWhole ?? false;
    this.#partSize = options.partSize ?? PART_SIZE;
    this.#pool = createBufferPool(options.poolSize ?? POOL_SIZE);
  }

  /** Lists one key, to find out whether the bucket exists and allows access. Throws {@link StorageError}. */
  async check(): Promise<void> {
    const request = { bucket: this.#bucket, prefix: this.#prefix, most: 1 };
    await this.#send('opening the bucket', (client) => listObjects(client, request));
  }

  async head(key: string): Promise<ObjectInfo | null> {
    const found = await this.#send(`reading the head of ${key}`, (client) =>
      nullIfAbsent(headObject(client, this.#place(key))),
    );
    return found === null ? null : infoOf(key, found, found.length);
  }

  async get(key: string, { range, ifMatch, signal }: GetOptions = {}): Promise<StoredObject | null | 'changed'> {
    const read = (header: string | undefined, version: string | undefined): Promise<ObjectAnswer | null | 'changed'> =>
      this.#send(
        `reading ${key}`,
        async (client) => {
          try {
            return await nullIfAbsent(
              getObject(client, {
                ...this.#place(key),
                range: header,
                ifMatch: version === undefined ? undefined : `"${version}"`,
                signal,
              }),
            );
          } catch (error) {
            const { status } = readFailure(error);
            if (status === 412 && version !== undefined) return 'changed';
            if (status === 416 && header !== undefined)
              throw new StorageError('STORAGE_CORRUPT', `reading ${key}: the object has no such range`, {
                cause: error,
              });
            throw error;
          }
        },
        signal,
      );
    const found = await read(rangeHeader(range), ifMatch);
    if (found === null || found === 'changed') return found;
    const { length } = found;
    const place = /^bytes (\d+)-\d+\/(\d+)$/.exec(found.contentRange ?? '');
    const offset = place === null ? 0 : Number(place[1]);
    const info = infoOf(key, found, place === null ? length : Number(place[2]));
    // A broken body is resumed where it broke, if the object is unchanged.
    const resume = (at: number): Promise<ObjectAnswer | null | 'changed'> =>
      read(`bytes=${String(at)}-${String(offset + length - 1)}`, info.etag);
    const chunksOf = (answer: ObjectAnswer): AsyncIterable<Uint8Array> =>
      bytesOf(answer, { key, offset, length, signal, resume });
    const part = { offset, length };
    if (length > CHECKED_MAX) return { ...info, range: part, body: ReadableStream.from(chunksOf(found)) };
    if (this.#hasMd5Etags && place === null && hasMd5Etag(found)) {
      const { etag } = info;
      const { bytes, matches } = await readChecked(found, { key, etag, chunksOf, again: () => read(undefined, etag) });
      // Of such a server, each object would be read three times.
      this.#hasMd5Etags = matches;
      return { ...info, range: part, bytes, body: ReadableStream.from([bytes]) };
    }
    // A short body is read at once: the caller would do so by `Response`, which takes Node 34 ms to load.
    const bytes = await collect(chunksOf(found));
    return { ...info, range: part, bytes, body: ReadableStream.from([bytes]) };
  }

  async put(key: string, body: Uint8Array | BodyStream, options: PutOptions): Promise<Put> {
    if (body instanceof Uint8Array) return this.#putWhole(key, body, options);
    const { sha256, onlyIf, signal } = options;
    if (sha256 === undefined || onlyIf !== undefined || body.size > this.#streamedMax || !canBeStreamed(body)) {
      return this.#putBuffered(key, body, options);
    }
    const buffered = (chunks: AsyncIterable<Uint8Array>): Promise<Put> =>
      this.#putBuffered(key, { size: body.size, chunks, verified: true, reread: body.reread }, options);
    const isLong = body.size > this.#partSize;
    const orElse = (isLong ? !this.#staysWhole : body.expensiveToReread === true) ? buffered : undefined;
    return putStreamed(body, {
      ...options,
      ...this.#place(key),
      title: key,
      sha256,
      checks: this.#checks,
      request: this.#requester(signal),
      orElse,
    });
  }

  /** Buffers the body, whole or in parts, until it is stored. */
  async #putBuffered(key: string, body: BodyStream, options: PutOptions): Promise<Put> {
    if (body.size > this.#partSize) {
      try {
        return await this.#putInParts(key, body, options);
      } catch (error) {
        if (!(error instanceof UploadEndedError) || body.reread === undefined) throw error;
        return this.#putInParts(key, { ...body, chunks: body.reread(error.message) }, options);
      }
    }
    const lease = await this.#pool.acquire(bufferSizeFor(body.size, this.#partSize), options.signal);
    try {
      const bytes = lease.buffer.subarray(0, body.size);
      let filled = 0;
      for await (const chunk of body.chunks) {
        if (filled + chunk.length > bytes.length)
          throw new StorageError(
            'DIGEST_MISMATCH',
            `writing ${key}: the body has more than the announced ${String(body.size)} bytes`,
          );
        bytes.set(chunk, filled);
        filled += chunk.length;
      }
      if (filled < bytes.length)
        throw new StorageError(
          'DIGEST_MISMATCH',
          `writing ${key}: the body has fewer than the announced ${String(body.size)} bytes`,
        );
      return await this.#putWhole(key, bytes, options);
    } finally {
      lease.release();
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETE_AT_ONCE) {
      const some = keys.slice(at, at + DELETE_AT_ONCE).map((key) => this.#prefix + key);
      const [first] = await this.#send('deleting', (client) => deleteObjects(client, this.#bucket, some));
      if (first === undefined) continue;
      const denied = first.code === 'AccessDenied';
      throw new StorageError(
        denied ? 'STORAGE_DENIED' : 'STORAGE_UNAVAILABLE',
        `deleting ${first.key}: ${this.#title} answered ${first.code} ${first.message}`,
      );
    }
  }

  async deleteFenced(keys: readonly string[], fence: DeleteFence): Promise<'done' | 'expired'> {
    let outcome: 'done' | 'expired' = 'done';
    const began = performance.now();
    await forEachLimit(keys, FENCED_AT_ONCE, async (key) => {
      // Storage refuses what comes later; there is no reason to send it.
      if (outcome === 'expired') return;
      const left = fence.seconds * 1000 - (performance.now() - began);
      const policy = { ...this.#retry, budget: left };
      const result = await withRetry(async () => {
        const client = await this.#connection.client();
        return deleteFenced({ client, ...this.#place(key), fence, title: this.#title });
      }, policy);
      if (result === 'expired') outcome = result;
    });
    return outcome;
  }

  async *list(
    prefix: string,
    { startAfter, signal }: { readonly startAfter?: string; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<ListedObject> {
    let token: string | undefined;
    do {
      const request = {
        bucket: this.#bucket,
        prefix: this.#prefix + prefix,
        startAfter: startAfter === undefined ? undefined : this.#prefix + startAfter,
        token,
        signal,
      };
      const page: ObjectPage = await this.#send(`listing ${prefix}`, (client) => listObjects(client, request), signal);
      for (const { key, size, etag, modified } of page.objects)
        yield { key: key.slice(this.#prefix.length), size, etag, uploaded: modified };
      ({ token } = page);
    } while (token !== undefined);
  }

  async #putWhole(key: string, bytes: Uint8Array, options: PutOptions): Promise<Put> {
    return putWhole({
      ...options,
      ...this.#place(key),
      title: key,
      bytes,
      ifMatch: this.#ifMatch,
      request: this.#requester(options.signal),
      head: () => this.head(key),
    });
  }

  /** Bucket and key in storage. */
  #place(key: string): { readonly bucket: string; readonly key: string } {
    return { bucket: this.#bucket, key: this.#prefix + key };
  }

  #requester(signal: AbortSignal | undefined): SendRequest {
    return (what, send, ownSignal, bytes) => this.#send(what, send, ownSignal ?? signal, bytes);
  }

  async #putInParts(
    key: string,
    { size, chunks, verified = false }: BodyStream,
    { contentType, metadata = {}, sha256, onlyIf, signal }: PutOptions,
  ): Promise<Put> {
    if (onlyIf !== undefined) {
      // S3 can complete a multipart upload conditionally; R2 does not document it. It does not matter if the key
      // contains the digest.
      if (onlyIf !== 'absent' || sha256 === undefined)
        throw new TypeError(
          'a long body can be written conditionally only if the key must be absent and its sha256 is known',
        );
      if ((await this.head(key)) !== null) return 'precondition-failed';
    }
    return uploadInParts({
      ...this.#place(key),
      title: this.#title,
      size,
      chunks,
      verified,
      sha256,
      contentType,
      metadata,
      partSize: partSizeFor(size, this.#partSize),
      checks: this.#checks,
      pool: this.#pool,
      uploads: this.#uploads,
      signal,
      request: this.#requester(signal),
      head: () => this.head(key),
    });
  }

  #send<T>(
    what: string,
    send: (client: S3Client, mayBeDone: boolean, stop?: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
    bytes?: number,
  ): Promise<T> {
    const guard = bytes === undefined ? undefined : this.#guard;
    return sendRetrying(
      async (mayBeDone) => {
        const client = await this.#connection.client(signal);
        try {
          if (guard === undefined || bytes === undefined) return await send(client, mayBeDone);
          return await guard(bytes, (stop) => send(client, mayBeDone, stop));
        } catch (error) {
          if (readFailure(error).status === undefined) this.#connection.lost(client);
          throw error;
        }
      },
      { policy: this.#retry, title: this.#title, what, signal },
    );
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/**
 * Returns null if the key does not exist. A missing bucket throws; HEAD cannot distinguish the two, so {@link
 * S3Store.check} runs first.
 */
async function nullIfAbsent<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    const { status, code } = readFailure(error);
    if (status === 404 && code !== 'NoSuchBucket' && code !== 'ForeignAnswer') return null;
    throw error;
  }
}
