/**
 * Indexes a tar archive (POSIX pax and ustar, GNU long names). Only headers are read, so that a large archive is
 * indexed quickly. Tar libraries read an archive in order, but an image archive names its layers at its end.
 */
import { posix } from 'node:path';
import { CommandError } from '../cli/errors.ts';
import { hasChecksum, nameOf, paxRecords, sizeOf, TAR_BLOCK as BLOCK, textOf } from '../streams/tar-header.ts';

/** Reads bytes of the archive; fewer than asked for only at its end. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

/** The position of a file's content in the archive, in bytes. */
export interface TarFile {
  readonly offset: number;
  readonly size: number;
}

/**
 * Guards against malicious input: the most headers, the most bytes of one extended header, the most extended headers
 * of one member, and the most bytes of all names.
 */
const LIMITS = { headers: 1_000_000, extension: 1024 * 1024, extensions: 16, names: 64 * 1024 * 1024 } as const;

type Member = TarFile | { readonly link: string };

/**
 * Indexes an archive of `length` bytes: path (as written, without `./`) → file, links followed. `title` is for
 * messages. Throws {@link CommandError}.
 */
export async function indexTar(
  readAt: ReadAt,
  length: number,
  title: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, TarFile>> {
  const members = new Map<string, Member>();
  let extended = new Map<string, string>();
  let [headers, extensions, names] = [0, 0, 0];
  for (let at = 0; at < length;) {
    signal?.throwIfAborted();
    const header = await readAt(at, BLOCK);
    if (header.length < BLOCK) throw truncated(title);
    if (header.every((byte) => byte === 0)) break;
    if (!hasChecksum(header)) {
      throw at === 0
        ? new CommandError(`${title} is not a tar archive`, {
            hint: 'If it is compressed, use gzip or zstd.',
          })
        : damaged(title, at);
    }
    headers += 1;
    if (headers > LIMITS.headers) throw new CommandError(`${title} has more than ${String(LIMITS.headers)} members`);
    const type = String.fromCharCode(header[156] ?? 0);
    const isExtension = type === 'x' || type === 'L' || type === 'K';
    const size = sizeOf(isExtension ? undefined : extended.get('size'), header);
    if (size === null) throw damaged(title, at);
    const content = at + BLOCK;
    if (content + size > length) throw truncated(title);
    at = content + Math.ceil(size / BLOCK) * BLOCK;
    if (isExtension) {
      extensions += 1;
      if (size > LIMITS.extension || extensions > LIMITS.extensions) {
        throw new CommandError(
          size > LIMITS.extension
            ? `${title} has a name of ${String(size)} bytes`
            : `${title} has more than ${String(LIMITS.extensions)} extended headers for one file`,
          { hint: 'No program writes such an archive: create it again.' },
        );
      }
      const bytes = await readAt(content, size);
      if (type === 'x') for (const [key, value] of paxRecords(bytes)) extended.set(key, value);
      else extended.set(type === 'L' ? 'path' : 'linkpath', textOf(bytes));
      continue;
    }
    // Global records (e.g. in git archives) do not describe single files.
    if (type === 'g') continue;
    const path = normal(extended.get('path') ?? nameOf(header));
    const link = extended.get('linkpath') ?? textOf(header.subarray(157, 257));
    extended = new Map();
    extensions = 0;
    if (type === '0' || type === '\0' || type === '7') members.set(path, { offset: content, size });
    else if (type === '1') members.set(path, { link: normal(link) });
    else if (type === '2') members.set(path, { link: normal(posix.join(posix.dirname(path), link)) });
    names += path.length + link.length;
    if (names > LIMITS.names)
      throw new CommandError(`${title} has names of more than ${String(LIMITS.names)} bytes in all`);
  }
  return new Map(
    [...members.keys()].flatMap((path) => {
      const file = follow(members, path);
      return file === null ? [] : [[path, file]];
    }),
  );
}

function follow(members: ReadonlyMap<string, Member>, path: string): TarFile | null {
  let member = members.get(path);
  for (let hops = 0; member !== undefined && 'link' in member && hops < 8; hops += 1) member = members.get(member.link);
  return member === undefined || 'link' in member ? null : member;
}

function normal(path: string): string {
  return posix
    .normalize(path)
    .replace(/^(?:\.\/|\/)+/, '')
    .replace(/\/$/, '');
}

function damaged(title: string, at: number): CommandError {
  return new CommandError(`${title} is damaged at byte ${String(at)}`, { hint: 'Create the archive again.' });
}

function truncated(title: string): CommandError {
  return new CommandError(`${title} is truncated: it ends within a file`, {
    hint: 'The archive is incomplete: create or download it again.',
  });
}
