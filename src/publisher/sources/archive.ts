/**
 * Image archives: tar files, read in any order. One that lies on disk as plain tar is read where it is; what comes through standard input, or is compressed, is copied to
 * a temporary file first, since archives name their layers at the end. The file has no name any more once it is open: nothing stays behind, however the process ends.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError } from '../cli/errors.ts';
import { packingOf, unpacked } from '../streams/packing.ts';
import { PackingError } from '../streams/packing-error.ts';
import { lendChunks, MANIFEST_MAX_BYTES } from './files.ts';
import type { SourceOptions } from './open.ts';
import type { LentChunks, SourceBlob } from './source.ts';
import { indexTar } from './tar-index.ts';

/** An open archive. */
export interface Archive {
  /** For messages. */
  readonly title: string;
  has(path: string): boolean;
  /** Bytes of a file; undefined if it is not there. */
  sizeOf(path: string): number | undefined;
  /** A small file; null if it is not there. Throws {@link CommandError} if it is not small. */
  read(path: string): Promise<Uint8Array | null>;
  /** The first bytes of a file; fewer if it has no more, none if it is not there. */
  head(path: string, length: number): Promise<Uint8Array>;
  /** A file; null if it is not there. */
  open(path: string, signal?: AbortSignal): SourceBlob | null;
  close(): Promise<void>;
}

const READ_AT_ONCE = 256 * 1024;

/** Splits `FILE[:REF]` at the first colon, as containers/image does; a file whose name has a colon is found too. */
export async function splitArchiveRef(where: string): Promise<readonly [string, string | undefined]> {
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
export async function openArchive(
  path: string,
  options: Pick<SourceOptions, 'signal' | 'tell'> = {},
): Promise<Archive> {
  const title = path === '-' ? 'standard input' : path;
  const file =
    path === '-' ? await spool(process.stdin, title, 'comes through a pipe', options) : await openPlain(path, options);
  try {
    const { size } = await file.stat();
    const readAt = (offset: number, length: number): Promise<Uint8Array> => read(file, title, offset, length);
    const index = await indexTar(readAt, size, title);
    return {
      title,
      has: (name) => index.has(name),
      sizeOf: (name) => index.get(name)?.size,
      read: async (name) => {
        const found = index.get(name);
        if (found === undefined) return null;
        if (found.size > MANIFEST_MAX_BYTES)
          throw new CommandError(`${title}: ${name} has ${String(found.size)} bytes, too many for a manifest`);
        return readAt(found.offset, found.size);
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
          for (let at = 0; at < length; at += READ_AT_ONCE) {
            signal?.throwIfAborted();
            yield await readAt(offset + at, Math.min(READ_AT_ONCE, length - at));
          }
        }
        return { size: found.size, chunks: chunks(found), lent: lendArchived(file, title, found, signal) };
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function lendArchived(
  file: FileHandle,
  title: string,
  { offset, size }: { readonly offset: number; readonly size: number },
  signal?: AbortSignal,
): LentChunks {
  const { kept, chunks } = lendChunks(file, { offset, length: size }, signal);
  async function* told(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* chunks;
    } catch (cause) {
      signal?.throwIfAborted();
      throw new CommandError(`${title} cannot be read`, { cause });
    }
  }
  return { kept, chunks: told() };
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

async function openPlain(path: string, options: Pick<SourceOptions, 'signal' | 'tell'>): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new CommandError(`there is no file ${path}`, { hint: 'Check the path; standard input is -.' });
    throw new CommandError(`${path} cannot be read`, { cause });
  }
  const facts = await file.stat();
  if (facts.isDirectory()) {
    await file.close();
    throw new CommandError(`${path} is a folder`, { hint: `Write oci:${path} for an OCI layout, or dir:${path}.` });
  }
  const head = await read(file, path, 0, 6).catch(() => new Uint8Array());
  if (facts.isFile() && packingOf(head) === 'none') return file;
  await file.close();
  // A pipe with a name is read once, like standard input.
  const why = facts.isFile() ? 'is compressed' : 'is no plain file';
  return spool(createReadStream(path, { highWaterMark: READ_AT_ONCE }), path, why, options);
}

async function spool(
  from: AsyncIterable<unknown>,
  title: string,
  why: string,
  { signal, tell }: Pick<SourceOptions, 'signal' | 'tell'>,
): Promise<FileHandle> {
  tell?.(
    `${title} ${why}: it is copied to a temporary file in ${tmpdir()} first, because image archives name their layers at the end`,
  );
  const folder = await mkdtemp(join(tmpdir(), 'gantry-'));
  let file: FileHandle | undefined;
  try {
    file = await open(join(folder, 'archive.tar'), 'wx+', 0o600);
    await rm(folder, { recursive: true });
    for await (const chunk of unpacked(from as AsyncIterable<Uint8Array>)) {
      signal?.throwIfAborted();
      await file.appendFile(chunk);
    }
    return file;
  } catch (cause) {
    await file?.close();
    await rm(folder, { recursive: true, force: true });
    signal?.throwIfAborted();
    if (cause instanceof PackingError) {
      throw new CommandError(`${title} cannot be unpacked: ${cause.message}`, {
        hint: 'The archive is damaged or not complete: make or fetch it again.',
        cause,
      });
    }
    const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new CommandError(`${title} cannot be copied to a temporary file`, {
      ...(full ? { hint: `${tmpdir()} is full: name a folder with more room in TMPDIR.` } : {}),
      cause,
    });
  }
}
