/** The metadata of an object. `size` in bytes; `etag` is opaque and without quotes. */
export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly contentType?: string | undefined;
  /** Custom metadata: names in lower case, values printable ASCII. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly uploaded: Date;
}

/** An object with its bytes, or with the requested range of them. */
export interface StoredObject extends ObjectInfo {
  /** The byte range of `body`: the whole object unless a range was requested. */
  readonly range: { readonly offset: number; readonly length: number };
  readonly body: ReadableStream<Uint8Array>;
  /** The bytes of `body`, if the store has them in memory. */
  readonly bytes?: Uint8Array;
}

/** A byte range: `length` bytes from `offset` (at most to the end), or the last `suffix` bytes. */
export type ByteRange = { readonly offset: number; readonly length?: number } | { readonly suffix: number };

/** Options of {@link ReadStore.get}. */
export interface GetOptions {
  readonly range?: ByteRange;
  /** Read only this version (etag); any other gives `'changed'`. */
  readonly ifMatch?: string;
  /** The caller reads all bytes at once: a store may revalidate a copy in memory instead of reading the object. */
  readonly atOnce?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Reading a bucket. A missing object is null. Every failure throws {@link StorageError}, so the two are never confused.
 */
export interface ReadStore {
  head(key: string): Promise<ObjectInfo | null>;
  get(key: string, options?: GetOptions): Promise<StoredObject | null | 'changed'>;
}

/** Options of {@link WriteStore.put}. */
export interface PutOptions {
  readonly contentType: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Hex sha256 of the whole body, if known: the store refuses a body that does not match. */
  readonly sha256?: string;
  /**
   * Write only over this version, or only if the object does not exist; otherwise `'precondition-failed'`. Two objects
   * with the same bytes have the same etag: a store that can compares `uploaded` too.
   */
  readonly onlyIf?: { readonly etag: string; readonly uploaded?: Date } | 'absent';
  readonly signal?: AbortSignal;
}

/** A long body that is read once. `size` in bytes. */
export interface BodyStream {
  readonly size: number;
  /** A chunk is valid until the next one is requested, because its buffer may be reused. Copy it to keep it. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /**
   * How many of the latest chunks stay valid while the next one is requested. Default 0; `Infinity` if buffers are
   * never reused. A finite number also means that all chunks but the last have at least 64 KiB.
   */
  readonly validChunks?: number;
  /** Reads the body again from the beginning. With it, a store need not buffer bytes for a retry. */
  readonly reread?: (why: string) => AsyncIterable<Uint8Array>;
  /** Reading again is expensive (e.g. a download): a store does so at most once, and buffers the bytes then. */
  readonly expensiveToReread?: boolean;
  /** The source verifies the sha256 before it yields the last chunk, so a store need not hash the bytes again. */
  readonly verified?: boolean;
}

/** A listed object. */
export type ListedObject = Pick<ObjectInfo, 'key' | 'size' | 'etag' | 'uploaded'>;

/** Until when a deletion may be carried out: so many seconds after a time of the store's own clock. */
export interface DeleteFence {
  readonly from: Date;
  readonly seconds: number;
}

/** See {@link WriteStore.deleteFenced}. */
export type DeleteFenced = (keys: readonly string[], fence: DeleteFence) => Promise<'done' | 'expired'>;

/** Reading and writing a bucket. Every write is atomic: readers see the whole old object or the whole new one. */
export interface WriteStore extends ReadStore {
  put(
    key: string,
    body: Uint8Array | BodyStream,
    options: PutOptions,
  ): Promise<{ readonly etag: string } | 'precondition-failed'>;
  /** Deletes objects. Keys that do not exist are ignored. */
  delete(keys: readonly string[]): Promise<void>;
  /**
   * Deletes objects, unless the request reaches storage after the fence: `'expired'`, and some may be deleted. Stores
   * to which requests travel over a network have this; undefined: the store carries a deletion out at once. Not
   * optional, so that no store around another one forgets it.
   */
  readonly deleteFenced: DeleteFenced | undefined;
  /** All objects whose key starts with `prefix`, in key order. */
  list(
    prefix: string,
    options?: { readonly startAfter?: string; readonly signal?: AbortSignal },
  ): AsyncIterable<ListedObject>;
}

/** A failed storage operation. `retryable`: the same call may succeed later. */
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

/** A failure of the body that is written, not of storage. */
export class BodyError extends Error {
  override readonly name = 'BodyError';

  constructor(cause: unknown) {
    super('the body cannot be read', { cause });
  }
}
