/** Files of a source: read whole where they are small, as streams where they are not; a miss is null, all else is told with its path. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { CommandError } from '../cli/errors.ts';
import type { LentChunks, SourceBlob } from './source.ts';

/** Most bytes of a manifest, index or the like that is read into memory. */
export const MANIFEST_MAX_BYTES = 32 * 1024 * 1024;

/** Reads a small file; null if it is not there. Throws {@link CommandError}. */
export async function readSmallFile(path: string): Promise<Uint8Array | null> {
  try {
    const { size } = await stat(path);
    if (size > MANIFEST_MAX_BYTES) {
      throw new CommandError(`${path} has ${String(size)} bytes, too many for a manifest`, {
        hint: `The most is ${String(MANIFEST_MAX_BYTES)}.`,
      });
    }
    return await readFile(path);
  } catch (cause) {
    if (isMissing(cause)) return null;
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(`${path} cannot be read`, { cause });
  }
}

/** Opens a file as a blob; null if it is not there. Throws {@link CommandError}. */
export async function openFileBlob(path: string, signal?: AbortSignal): Promise<SourceBlob | null> {
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw new CommandError(`${path} is no file`);
    return {
      size: facts.size,
      chunks: chunksOf(path, signal),
      lent: { kept: KEPT, chunks: lentChunksOf(path, signal) },
    };
  } catch (cause) {
    if (isMissing(cause)) return null;
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(`${path} cannot be read`, { cause });
  }
}

async function* chunksOf(path: string, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  try {
    // Larger than the default: at line speed the number of turns counts.
    yield* createReadStream(path, {
      highWaterMark: 256 * 1024,
      ...(signal === undefined ? {} : { signal }),
    }) as AsyncIterable<Uint8Array>;
  } catch (cause) {
    signal?.throwIfAborted();
    throw new CommandError(`${path} cannot be read`, { cause });
  }
}

/** Bytes of a lent buffer. */
const LENT_SIZE = 256 * 1024;
/** See {@link import('./source.ts').LentChunks}: a chunk that is held until its blob is verified, and as many as a store sends on at once. */
const KEPT = 4;
/** What is kept, the one that is asked for, and one that is read ahead. */
const LENT_COUNT = KEPT + 2;

async function* lentChunksOf(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    const file = await open(path);
    try {
      yield* lentChunksIn(file, { offset: 0, length: Infinity }, signal);
    } finally {
      await file.close();
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw new CommandError(`${path} cannot be read`, { cause });
  }
}

/** Lends part of an open file, or what there is of it. Throws what reading throws. */
export function lendChunks(file: FileHandle, part: FilePart, signal?: AbortSignal): LentChunks {
  return { kept: KEPT, chunks: lentChunksIn(file, part, signal) };
}

/** Which bytes of a file; `length` may be infinite. */
export interface FilePart {
  readonly offset: number;
  readonly length: number;
}

/** Reads ahead while what was read is hashed; new buffers for every chunk would cost more than both. */
async function* lentChunksIn(
  file: FileHandle,
  { offset, length }: FilePart,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers: Buffer[] = [];
  let [turn, at] = [0, 0];
  // Whole, even where the file comes in bits (a network's, FUSE's): whoever sends chunks on counts on few being under way at once.
  const fill = async (buffer: Buffer): Promise<Uint8Array> => {
    const most = Math.min(LENT_SIZE, length - at);
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
    const reading = fill((buffers[turn % LENT_COUNT] ??= Buffer.allocUnsafeSlow(LENT_SIZE)));
    turn += 1;
    // Told when it is asked for, not before.
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
    // A file is not closed while it is read.
    await ahead.catch(() => undefined);
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
