/** Files of a source: small ones read whole, others as streams. A missing file is null; other errors name the path. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CommandError } from '../cli/errors.ts';
import { CHUNK_SIZE, POOLED_BUFFERS, VALID_CHUNKS } from '../streams/buffer-sizes.ts';
import type { PooledChunks, SourceBlob } from '../../bucket/image-source.ts';

/**
 * The largest manifest, index or similar document that is read into memory, in bytes. Registries accept 4 MiB; an index
 * of this size names 30,000 images. Parsed, a document of empty objects takes 20 times its size.
 */
export const MANIFEST_MAX_BYTES = 8 * 1024 * 1024;

/** The deepest nesting of a document. */
const MAX_DEPTH = 1000;

/**
 * Refuses a JSON document that is nested too deeply: `JSON.parse` takes 64 bytes of memory for each open bracket, so
 * that 32 MiB of them took 2 GiB. Throws {@link CommandError}.
 */
export function checkDepth(bytes: Uint8Array, title: string): void {
  let [depth, inText] = [0, false];
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inText) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > MAX_DEPTH)
        throw new CommandError(`${title} is nested deeper than ${String(MAX_DEPTH)} levels`, {
          hint: 'It is not the document of an image: create the image again.',
        });
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1;
  }
}

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Opens a regular file. A device or a named pipe could be endless or silent, so it is refused. It is opened first and
 * examined then, since the name may lead elsewhere a moment later; `O_NONBLOCK` keeps a named pipe from blocking the
 * call. Throws {@link CommandError} for anything but a regular file, and the errors of the system.
 */
export async function openRegular(path: string): Promise<{ readonly file: FileHandle; readonly size: number }> {
  const file = await open(path, READ_FLAGS);
  try {
    const facts = await file.stat();
    if (!facts.isFile())
      throw new CommandError(`${path} is not a regular file`, {
        hint: 'Devices, named pipes and folders are not read: copy the image again.',
      });
    return { file, size: facts.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** How files are opened: without waiting for a writer, and without a terminal becoming the process's own. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Reads a small document; null if it does not exist. Throws {@link CommandError}. */
export function readSmallFile(path: string, signal?: AbortSignal): Promise<Uint8Array | null> {
  return nullIfMissing(
    path,
    async () => {
      const { file, size } = await openRegular(path);
      try {
        if (size > MANIFEST_MAX_BYTES) throw tooLarge(path, String(size));
        const parts: Uint8Array[] = [];
        let count = 0;
        // The size is only a hint: the file may grow, and files of /proc report 0.
        for (;;) {
          signal?.throwIfAborted();
          const buffer = Buffer.allocUnsafe(Math.min(CHUNK_SIZE, Math.max(size - count, 0) + 1));
          const { bytesRead } = await file.read(buffer, 0, buffer.length, count);
          if (bytesRead === 0) {
            const whole = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
            checkDepth(whole, path);
            return whole;
          }
          count += bytesRead;
          if (count > MANIFEST_MAX_BYTES) throw tooLarge(path, `more than ${String(MANIFEST_MAX_BYTES)}`);
          parts.push(buffer.subarray(0, bytesRead));
        }
      } finally {
        await file.close();
      }
    },
    signal,
  );
}

function tooLarge(path: string, bytes: string): CommandError {
  return new CommandError(`${path} has ${bytes} bytes, too many for a manifest`, {
    hint: `At most ${String(MANIFEST_MAX_BYTES)} bytes are read.`,
  });
}

/** Opens a file as a blob; null if it does not exist. Throws {@link CommandError}. */
export function openFileBlob(path: string, signal?: AbortSignal): Promise<SourceBlob | null> {
  return nullIfMissing(path, async () => {
    const { file, size } = await openRegular(path);
    await file.close();
    return {
      size,
      chunks: withReadErrors(path, chunksOf(path, signal), signal),
      pooled: { validChunks: VALID_CHUNKS, chunks: withReadErrors(path, pooledChunksOf(path, signal), signal) },
    };
  });
}

/** Reads part of an open file into pooled buffers; `title` is for messages. Throws {@link CommandError}. */
export function readPooled(file: FileHandle, title: string, part: FilePart, signal?: AbortSignal): PooledChunks {
  return { validChunks: VALID_CHUNKS, chunks: withReadErrors(title, pooledChunksIn(file, part, signal), signal) };
}

/** Which bytes of a file; `length` may be infinite. */
export interface FilePart {
  readonly offset: number;
  readonly length: number;
}

/** Passes chunks on, and turns an error of reading them into a {@link CommandError}. */
async function* withReadErrors(
  title: string,
  chunks: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* chunks;
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(`${title} cannot be read`, { cause });
  }
}

async function* chunksOf(path: string, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const { file } = await openRegular(path);
  const options = { highWaterMark: CHUNK_SIZE, ...(signal === undefined ? {} : { signal }) };
  yield* file.createReadStream(options) as AsyncIterable<Uint8Array>;
}

async function* pooledChunksOf(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const { file } = await openRegular(path);
  try {
    yield* pooledChunksIn(file, { offset: 0, length: Infinity }, signal);
  } finally {
    await file.close();
  }
}

/** Reads one chunk ahead while the previous one is hashed. A new buffer for every chunk would cost more than both. */
async function* pooledChunksIn(
  file: FileHandle,
  { offset, length }: FilePart,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers: Buffer[] = [];
  let [turn, at] = [0, 0];
  // Fills a chunk even where the file system returns short reads (network, FUSE): a streamed put needs long chunks.
  const fill = async (buffer: Buffer): Promise<Uint8Array> => {
    const most = Math.min(CHUNK_SIZE, length - at);
    let filled = 0;
    while (filled < most) {
      const { bytesRead } = await file.read(buffer, filled, most - filled, offset + at);
      if (bytesRead === 0) break;
      filled += bytesRead;
      at += bytesRead;
    }
    return buffer.subarray(0, filled);
  };
  const read = (): Promise<Uint8Array> => {
    const reading = fill((buffers[turn % POOLED_BUFFERS] ??= Buffer.allocUnsafeSlow(CHUNK_SIZE)));
    turn += 1;
    // The error is thrown when the chunk is requested, not before.
    reading.catch(() => undefined);
    return reading;
  };
  let ahead = read();
  try {
    for (;;) {
      const chunk = await ahead;
      signal?.throwIfAborted();
      if (chunk.length === 0) return;
      ahead = read();
      yield chunk;
    }
  } finally {
    // A file must not be closed while it is read.
    await ahead.catch(() => undefined);
  }
}

async function nullIfMissing<T>(path: string, read: () => Promise<T>, signal?: AbortSignal): Promise<T | null> {
  try {
    return await read();
  } catch (cause) {
    signal?.throwIfAborted();
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(`${path} cannot be read`, { cause });
  }
}
