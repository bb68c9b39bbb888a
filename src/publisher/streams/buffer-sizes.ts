/**
 * Sizes of the buffers that layers pass through on their way from a source to storage, and how they depend on each
 * other. All sizes are in bytes.
 *
 * ```
 * file ─ read ahead ─▶ pooled chunks ─ verify, withhold one ─▶ streamed put (one request)
 *                                                         └──▶ buffer pool ─▶ whole put, or parts
 * ```
 */

const KIB = 2 ** 10;
const MIB = 2 ** 20;

/** A chunk read from a file: larger than Node's 64 KiB, since each read costs a turn of the event loop. */
export const CHUNK_SIZE = 256 * KIB;

/**
 * Chunks that a streamed put still uses while it requests the next one: one in the socket, one waiting for it, and one
 * passed between the two. It holds while each chunk but the last is at least as long as a socket's high-water mark
 * (64 KiB).
 */
export const STREAMED_CHUNKS = 3;

/**
 * Pooled chunks that stay valid while the next one is read: those of a streamed put, and one withheld until verified.
 */
export const VALID_CHUNKS = STREAMED_CHUNKS + 1;

/** Buffers of one pooled reader: the valid chunks, the one being returned, and one that is read ahead. */
export const POOLED_BUFFERS = VALID_CHUNKS + 2;

/** The shortest body worth streaming; shorter ones are buffered whole. */
export const STREAMED_MIN = CHUNK_SIZE;

/**
 * The longest body that is sent in one request as it is read, where its source can be read again. Parts would be
 * buffered, to be hashed before they are sent.
 */
export const STREAMED_MAX = 64 * MIB;

/** Longer bodies go in parts of this size: small enough for several at once, large enough that requests cost little. */
export const PART_SIZE = 8 * MIB;

/** The most memory for buffered bodies on their way to one store: five parts. */
export const POOL_SIZE = 5 * PART_SIZE;

/** A block that zlib reads or writes at once. */
export const ZLIB_BLOCK = 64 * KIB;
