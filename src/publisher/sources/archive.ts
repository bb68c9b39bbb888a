/**
 * Image archives: tar files, read in any order. A plain tar file is read in place. Standard input and compressed
 * archives are copied to a temporary file first, since an archive names its layers at its end. The temporary file is
 * unlinked once it is open, so that it disappears however the process ends.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { CommandError } from '../cli/errors.ts';
import { CHUNK_SIZE } from '../streams/buffer-sizes.ts';
import { detectCompression } from '../streams/compression.ts';
import { checkDepth, readPooled, MANIFEST_MAX_BYTES, READ_FLAGS } from './files.ts';
import type { ImageSource, SourceBlob } from '../../bucket/image-source.ts';
import { type SpoolOptions, spool } from './spool.ts';
import { indexTar } from './tar-index.ts';

/** The options of {@link openArchive}. */
export type ArchiveOptions = SpoolOptions;

/** An open archive. */
export interface Archive {
  /** For messages. */
  readonly title: string;
  has(path: string): boolean;
  /** The size of a file in bytes; undefined if it does not exist. */
  sizeOf(path: string): number | undefined;
  /** Reads a small file; null if it does not exist. Throws {@link CommandError} if it is too large for a manifest. */
  read(path: string): Promise<Uint8Array | null>;
  /** The first bytes of a file: fewer if it is shorter, none if it does not exist. */
  head(path: string, length: number): Promise<Uint8Array>;
  /** Opens a file; null if it does not exist. */
  open(path: string, signal?: AbortSignal): SourceBlob | null;
  close(): Promise<void>;
}

/**
 * Opens the archive of `FILE[:REF]`, and the image in it that `open` chooses. Closes the archive if that fails.
 * Throws {@link CommandError}.
 */
export async function openImageIn(
  where: string,
  options: ArchiveOptions,
  open: (archive: Archive, ref: string | undefined) => Promise<ImageSource>,
): Promise<ImageSource> {
  const [path, ref] = await splitArchiveRef(where);
  const archive = await openArchive(path, options);
  try {
    return await open(archive, ref);
  } catch (error) {
    await archive.close();
    throw error;
  }
}

/**
 * Copies a stream with an archive into a temporary file, and opens the image in it that `open` chooses. `why` is for
 * messages. Closes the file if that fails. Throws {@link CommandError}.
 */
export async function openSpooledArchive(
  from: Readable,
  title: string,
  why: string,
  options: ArchiveOptions,
  open: (archive: Archive) => Promise<ImageSource>,
): Promise<ImageSource> {
  const archive = await archiveIn(await spool(from, title, why, options), title, options);
  try {
    return await open(archive);
  } catch (error) {
    await archive.close();
    throw error;
  }
}

/** Splits `FILE[:REF]` at the first colon, as containers/image does, unless a file has the whole as its name. */
async function splitArchiveRef(where: string): Promise<readonly [string, string | undefined]> {
  const colon = where.indexOf(':');
  const isThere = (): Promise<boolean> =>
    stat(where).then(
      () => true,
      () => false,
    );
  if (colon < 0 || (await isThere())) return [where, undefined];
  return [where.slice(0, colon), where.slice(colon + 1)];
}

/** Opens an archive; `-` is standard input. Throws {@link CommandError}. */
export async function openArchive(path: string, options: ArchiveOptions = {}): Promise<Archive> {
  const title = path === '-' ? 'standard input' : path;
  const file = path === '-' ? await spool(process.stdin, title, 'is a pipe', options) : await openPlain(path, options);
  return archiveIn(file, title, options);
}

/** Indexes an open file, which is closed if that fails. */
async function archiveIn(file: FileHandle, title: string, options: ArchiveOptions): Promise<Archive> {
  try {
    const { size } = await file.stat();
    const readAt = (offset: number, length: number): Promise<Uint8Array> => read(file, title, offset, length);
    const index = await indexTar(readAt, size, title, options.signal);
    return {
      title,
      has: (name) => index.has(name),
      sizeOf: (name) => index.get(name)?.size,
      read: async (name) => {
        const found = index.get(name);
        options.signal?.throwIfAborted();
        if (found === undefined) return null;
        if (found.size > MANIFEST_MAX_BYTES)
          throw new CommandError(`${title}: ${name} has ${String(found.size)} bytes, too many for a manifest`);
        const bytes = await readAt(found.offset, found.size);
        checkDepth(bytes, `${title}: ${name}`);
        return bytes;
      },
      head: async (name, length) => {
        const found = index.get(name);
        return found === undefined ? new Uint8Array() : readAt(found.offset, Math.min(length, found.size));
      },
      open: (name, signal = options.signal) => {
        const found = index.get(name);
        if (found === undefined) return null;
        async function* chunks({
          offset,
          size: length,
        }: {
          offset: number;
          size: number;
        }): AsyncGenerator<Uint8Array, void, undefined> {
          for (let at = 0; at < length; at += CHUNK_SIZE) {
            signal?.throwIfAborted();
            yield await readAt(offset + at, Math.min(CHUNK_SIZE, length - at));
          }
        }
        return {
          size: found.size,
          chunks: chunks(found),
          pooled: readPooled(file, title, { offset: found.offset, length: found.size }, signal),
        };
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function read(file: FileHandle, title: string, offset: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled).catch((cause: unknown) => {
      throw new CommandError(`${title} cannot be read`, { cause });
    });
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function openPlain(path: string, options: ArchiveOptions): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, READ_FLAGS);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new CommandError(`there is no file ${path}`, { hint: 'Check the path. Write - for standard input.' });
    throw new CommandError(`${path} cannot be read`, { cause });
  }
  const facts = await file.stat();
  if (facts.isFile()) {
    const head = await read(file, path, 0, 6).catch(() => new Uint8Array());
    if (detectCompression(head) === 'none') return file;
    const compressed = file.createReadStream({ highWaterMark: CHUNK_SIZE, start: 0 });
    return spool(compressed, path, 'is compressed', options);
  }
  await file.close();
  if (facts.isDirectory())
    throw new CommandError(`${path} is a folder`, { hint: `Write oci:${path} for an OCI layout, or dir:${path}.` });
  if (facts.isFIFO()) return spool(openPipe(path), path, 'is a named pipe', options);
  throw new CommandError(`${path} is not a regular file`, {
    hint: 'Devices and sockets are not read. Write - for standard input.',
  });
}

/**
 * Opens a named pipe, or one of the shell's (`<(command)`). A socket waits for data in the event loop; a file stream
 * would block a thread until a writer comes, and the process could not end. Throws {@link CommandError}.
 */
function openPipe(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fstatSync(fd).isFIFO()) return new Socket({ fd, readable: true, writable: false });
  closeSync(fd);
  throw new CommandError(`${path} is no longer a named pipe`, { hint: 'Try again.' });
}
