/** An object's facts without its bytes. `size` in bytes; `etag` without quotes, opaque. */
export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly contentType?: string | undefined;
  /** Custom metadata: names in lower case, values printable ASCII. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly uploaded: Date;
}

/** An object and its bytes, or the part of them that was asked for. */
export interface StoredObject extends ObjectInfo {
  /** Which bytes `body` carries; the whole object unless a range was asked for. */
  readonly range: { readonly offset: number; readonly length: number };
  readonly body: ReadableStream<Uint8Array>;
  /** The bytes of `body`, where the store has them at hand. */
  readonly bytes?: Uint8Array;
}

/** Part of an object, in bytes: from `offset` for `length` (clamped to the end), or the last `suffix`. */
export type ByteRange = { readonly offset: number; readonly length?: number } | { readonly suffix: number };

/** What {@link ReadStore.get} takes. */
export interface GetOptions {
  readonly range?: ByteRange;
  /** Read only this version; another one gives `'changed'`. */
  readonly ifMatch?: string;
  /**
   * The bytes are wanted at once: a store that remembers them may ask whether they are still the same, instead of
   * reading them.
   */
  readonly atOnce?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Reading a bucket. An expected miss is null; whatever else goes wrong throws {@link StorageError}: "not there" and
 * "could not find out" never mix.
 */
export interface ReadStore {
  head(key: string): Promise<ObjectInfo | null>;
  get(key: string, options?: GetOptions): Promise<StoredObject | null | 'changed'>;
}

/** What {@link WriteStore.put} takes. */
export interface PutOptions {
  readonly contentType: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Hex sha256 of the whole body where it is known: the store refuses a body that does not match. */
  readonly sha256?: string;
  /**
   * Write only over this version, or only where nothing is; else `'precondition-failed'`. Two objects with the same
   * bytes have the same etag: a store that can compares `uploaded` too.
   */
  readonly onlyIf?: { readonly etag: string; readonly uploaded?: Date } | 'absent';
  readonly signal?: AbortSignal;
}

/** A long body: its length and a way to read it. Consumed once. */
export interface BodyStream {
  readonly size: number;
  /** A chunk is good until the next one is asked for: its buffer may be filled again. Whoever keeps it copies it. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /**
   * How many of the latest chunks stay good all the same while the next one is asked for: none unless told, `Infinity`
   * for buffers that are never filled again. A finite number also says that all chunks but the last have 64 KiB or
   * more.
   */
  readonly validChunks?: number;
  /**
   * Reads it once more, from the beginning. Where it is there, a store may send bytes on instead of keeping them for
   * another try.
   */
  readonly reread?: (why: string) => AsyncIterable<Uint8Array>;
  /** Reading it costs more than a look at a disk: once more at most, and what comes then is kept. */
  readonly expensiveToReread?: boolean;
  /**
   * Whoever makes the chunks checks them against the sha256 that the store is told, and lets the last one out only if
   * they have it: once is enough.
   */
  readonly verified?: boolean;
}

/** A listed object. */
export type ListedObject = Pick<ObjectInfo, 'key' | 'size' | 'etag' | 'uploaded'>;

/** Reading and writing a bucket. Every write is atomic: readers see the whole old object or the whole new one. */
export interface WriteStore extends ReadStore {
  put(
    key: string,
    body: Uint8Array | BodyStream,
    options: PutOptions,
  ): Promise<{ readonly etag: string } | 'precondition-failed'>;
  /** Deletes; a key that is not there is no error. */
  delete(keys: readonly string[]): Promise<void>;
  /** All objects whose key starts with `prefix`, in key order. */
  list(
    prefix: string,
    options?: { readonly startAfter?: string; readonly signal?: AbortSignal },
  ): AsyncIterable<ListedObject>;
}

/** Why storage did not do what it was asked. `retryable`: the same call may work later. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: 'STORAGE_UNAVAILABLE' | 'STORAGE_DENIED' | 'STORAGE_FULL' | 'STORAGE_CORRUPT' | 'DIGEST_MISMATCH';
  readonly retryable: boolean;

  constructor(code: StorageError['code'], message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? code === 'STORAGE_UNAVAILABLE';
  }
}
