/** Copies a pipe or a compressed archive, decompressed, into a temporary file with limits. */
import { type FileHandle, mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { CommandError } from '../cli/errors.ts';
import { decompress, MAX_RATIO } from '../streams/compression.ts';
import { CompressionError } from '../streams/zstd-frames.ts';
import type { SourceOptions } from './source.ts';

/** The options of {@link spool}. */
export type SpoolOptions = Pick<SourceOptions, 'signal' | 'onMessage' | 'maxUnpacked'>;

const MIB = 1024 * 1024;

/** The most bytes of a decompressed archive, unless the user gives another limit. */
export const DEFAULT_MAX_UNPACKED = 64 * 1024 * MIB;

/** Bytes below which the ratio of an archive is not checked: a small one may be mostly padding. */
const RATIO_FREE = 256 * MIB;

/** The share of the temporary folder's free space that one archive may use: other programs need the rest. */
const FREE_SHARE = 0.9;

/**
 * Copies a stream into an unlinked temporary file, so that it disappears however the process ends. `why` is for
 * messages. Throws {@link CommandError} above a limit, and the signal's reason.
 */
export async function spool(
  from: Readable,
  title: string,
  why: string,
  { signal, onMessage, maxUnpacked }: SpoolOptions,
): Promise<FileHandle> {
  onMessage?.(
    `${title} ${why}: it is copied to a temporary file in ${tmpdir()} first, because an archive names its layers at its end`,
  );
  // An error before the stream is iterated is thrown by the iteration.
  from.on('error', () => undefined);
  // Without this, a silent pipe would be waited for after an interrupt.
  if (signal !== undefined) addAbortSignal(signal, from);
  let file: FileHandle | undefined;
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(tmpdir(), 'gantry-'));
    file = await open(join(folder, 'archive.tar'), 'wx+', 0o600);
    const disk = await statfs(folder);
    await rm(folder, { recursive: true });
    let packed = 0;
    async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const chunk of from as AsyncIterable<Uint8Array>) {
        packed += chunk.length;
        yield chunk;
      }
    }
    const check = limits(title, maxUnpacked, disk.bavail * disk.bsize * FREE_SHARE);
    let written = 0;
    for await (const chunk of decompress(counted())) {
      signal?.throwIfAborted();
      written += chunk.length;
      check(written, packed);
      await file.appendFile(chunk);
    }
    if (written === 0)
      throw new CommandError(`${title} is empty`, { hint: 'Check that the program that writes the archive succeeds.' });
    return file;
  } catch (cause) {
    await file?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    from.destroy();
    signal?.throwIfAborted();
    throw spoolError(title, cause);
  }
}

/** Returns a check of the bytes written so far; it throws {@link CommandError} above a limit. */
function limits(title: string, maxUnpacked: number | undefined, free: number) {
  return (written: number, packed: number): void => {
    if (written > (maxUnpacked ?? DEFAULT_MAX_UNPACKED)) {
      throw new CommandError(
        `${title} unpacks to more than ${String(maxUnpacked ?? DEFAULT_MAX_UNPACKED)} bytes, which is the limit`,
        { hint: 'If you trust the archive, allow more with --max-unpacked.' },
      );
    }
    if (written > free) {
      throw new CommandError(`${title} unpacks to more than ${tmpdir()} has room for`, {
        hint: 'Set TMPDIR to a folder with more space.',
      });
    }
    // A limit that the user chose says more than a ratio.
    if (maxUnpacked === undefined && written > RATIO_FREE && written > packed * MAX_RATIO) {
      throw new CommandError(`${title} unpacks to more than ${String(MAX_RATIO)} times its size`, {
        hint: 'It may be a decompression bomb. If you trust the archive, give a limit in bytes with --max-unpacked.',
      });
    }
  };
}

function spoolError(title: string, cause: unknown): CommandError {
  if (cause instanceof CommandError) return cause;
  if (cause instanceof CompressionError) {
    return new CommandError(`${title} cannot be decompressed: ${cause.message}`, {
      hint: 'The archive is damaged or incomplete: create or download it again.',
      cause,
    });
  }
  const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
  return new CommandError(`${title} cannot be copied to a temporary file`, {
    ...(full ? { hint: `${tmpdir()} is full: set TMPDIR to a folder with more space.` } : {}),
    cause,
  });
}
