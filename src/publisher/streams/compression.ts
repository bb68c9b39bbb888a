/** Detects the compression of layers, and decompresses and compresses streams in a few blocks of memory. */
import { once } from 'node:events';
import type { Transform } from 'node:stream';
import { constants, crc32, createDeflateRaw, createGunzip, createZstdDecompress } from 'node:zlib';
import { ZLIB_BLOCK } from './buffer-sizes.ts';
import { CompressionError, zstdFrames } from './zstd-frames.ts';

/** Compression formats that are read. */
export type Compression = 'gzip' | 'zstd' | 'none';

/** Bytes needed to detect a compression: the longest magic number. */
const HEAD = 6;

/**
 * Detects the compression by magic number (RFC 1952; RFC 8878 §3.1.1, with skippable frames); null for bzip2 and xz,
 * which are not read.
 */
export function detectCompression(head: Uint8Array): Compression | null {
  const starts = (...magic: readonly number[]): boolean => magic.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18) return 'zstd';
  if (starts(0x42, 0x5a, 0x68) || starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return null;
  return 'none';
}

/**
 * Decompresses a stream, and reports its compression in `detected.compression`. All of `chunks` is read, even bytes
 * after the compressed data, so that a caller can hash the whole. If `stopAt` returns true for the compression, nothing
 * is read or yielded. Throws {@link CompressionError}, and errors of reading.
 */
export async function* decompress(
  chunks: AsyncIterable<Uint8Array>,
  detected: { packing?: Compression } = {},
  stopAt: (packing: Compression) => boolean = () => false,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  try {
    while (head.length < HEAD) {
      const next = await iterator.next();
      if (next.done === true) break;
      head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
    }
    const packing = detectCompression(head);
    if (packing === null) throw new CompressionError('the layer is compressed with bzip2 or xz');
    detected.packing = packing;
    if (stopAt(packing)) return;
    const whole = (async function* () {
      yield head;
      yield* { [Symbol.asyncIterator]: () => iterator };
    })();
    if (packing === 'none') yield* whole;
    else if (packing === 'gzip') yield* through(whole, createGunzip({ chunkSize: ZLIB_BLOCK }));
    else yield* through(zstdFrames(whole), createZstdDecompress({ chunkSize: ZLIB_BLOCK }));
  } finally {
    await iterator.return?.();
  }
}

/**
 * How many times larger than its compressed form something may become. Deflate reaches 1,032 on zeros; images reach
 * about 10.
 */
export const MAX_RATIO = 200;

/** Bytes of a layer below which the ratio is not checked: a small one may be mostly padding. */
export const LAYER_RATIO_FREE = 64 * 1024 * 1024;

/**
 * The decompressed chunks of a layer. Throws {@link CompressionError} where they are too many for what was read so far.
 */
export async function* withinRatio(
  unpacked: AsyncIterable<Uint8Array>,
  packed: () => number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let length = 0;
  for await (const chunk of unpacked) {
    length += chunk.length;
    if (length > LAYER_RATIO_FREE && length > packed() * MAX_RATIO)
      throw new CompressionError(`the layer unpacks to more than ${String(MAX_RATIO)} times its size`);
    yield chunk;
  }
}

/**
 * The gzip header (RFC 1952 §2.3): deflate, no name, no time, unknown system. Node's own names the system it runs on.
 */
const GZIP_HEAD = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);

/**
 * Compresses with gzip. The same content gives the same bytes: zlib receives blocks of one size, since its output may
 * depend on their sizes. The bytes may differ between releases of zlib, never within one run.
 */
export async function* gzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let sum = 0;
  let length = 0;
  async function* summed(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const block of inBlocks(chunks)) {
      sum = crc32(block, sum);
      length += block.length;
      yield block;
    }
  }
  yield GZIP_HEAD;
  yield* through(summed(), createDeflateRaw({ level: constants.Z_DEFAULT_COMPRESSION, chunkSize: ZLIB_BLOCK }));
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(sum, 0);
  tail.writeUInt32LE(length % 2 ** 32, 4);
  yield tail;
}

async function* inBlocks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let block = Buffer.allocUnsafe(ZLIB_BLOCK);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const taken = Math.min(ZLIB_BLOCK - filled, chunk.length - at);
      block.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < ZLIB_BLOCK) continue;
      yield block;
      // zlib reads the block later in another thread, so it must not be written again.
      block = Buffer.allocUnsafe(ZLIB_BLOCK);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** Passes bytes through zlib. Errors of reading are thrown unchanged, errors of zlib as {@link CompressionError}. */
async function* through(
  chunks: AsyncIterable<Uint8Array>,
  zlib: Transform & { readonly bytesWritten: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  let sourceError: { readonly error: unknown } | undefined;
  let left = false;
  let fed = 0;
  const isOver = (): boolean => zlib.destroyed || zlib.readableEnded;
  async function feed(): Promise<void> {
    try {
      for await (const chunk of chunks) {
        if (left) return;
        fed += chunk.length;
        // zlib has reached the end or failed: the rest is read and ignored.
        if (isOver()) continue;
        if (!zlib.write(chunk) && !isOver()) await settled(zlib);
      }
      if (!isOver()) zlib.end();
    } catch (error) {
      sourceError = { error };
      zlib.destroy();
    }
  }
  // Errors of zlib are thrown where it is read; this listener catches those between two reads.
  zlib.on('error', () => undefined);
  const feeding = feed();
  let fault: unknown;
  try {
    yield* zlib as AsyncIterable<Uint8Array>;
  } catch (error) {
    fault = error;
  } finally {
    left = fault === undefined && !zlib.readableEnded;
    zlib.destroy();
    await feeding;
  }
  if (sourceError !== undefined) throw sourceError.error;
  // Go's gzip, which all engines use, refuses bytes after the compressed data; Node's ignores them.
  if (fault === undefined && !left && zlib.bytesWritten !== fed)
    fault = new Error('there are bytes after the compressed data');
  if (fault !== undefined)
    throw new CompressionError(fault instanceof Error ? fault.message : 'damaged', { cause: fault });
}

/** Waits until the stream accepts more data or has ended. */
async function settled(stream: Transform): Promise<void> {
  const stop = new AbortController();
  const options = { signal: stop.signal };
  try {
    await Promise.race([once(stream, 'drain', options), once(stream, 'close', options), once(stream, 'end', options)]);
  } catch {
    // The error is thrown where the stream is read.
  } finally {
    stop.abort();
  }
}
