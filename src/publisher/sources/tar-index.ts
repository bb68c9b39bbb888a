/**
 * Indexes a tar archive (POSIX pax and ustar, GNU long names). Only headers are read, so that a large archive is
 * indexed quickly. Tar libraries read an archive in order, but an image archive names its layers at its end.
 */
import { posix } from 'node:path';
import { CommandError } from '../cli/errors.ts';

/** Reads bytes of the archive; fewer than asked for only at its end. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

/** The position of a file's content in the archive, in bytes. */
export interface TarFile {
  readonly offset: number;
  readonly size: number;
}

const BLOCK = 512;

/**
 * Guards against malicious input: the most headers, the most bytes of one extended header, the most extended headers
 * of one member, and the most bytes of all names.
 */
const LIMITS = { headers: 1_000_000, extension: 1024 * 1024, extensions: 16, names: 64 * 1024 * 1024 } as const;

/** The records of an extended header that are used; others could fill the memory. */
const USED_RECORDS: ReadonlySet<string> = new Set(['path', 'linkpath', 'size']);

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

function hasChecksum(header: Uint8Array): boolean {
  const expected = parseInt(textOf(header.subarray(148, 156)).trim(), 8);
  let sum = 0;
  for (let index = 0; index < BLOCK; index += 1) sum += index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0);
  return expected === sum;
}

/** The size of a member in bytes; null if it is negative, too large, or not a number. */
function sizeOf(extended: string | undefined, header: Uint8Array): number | null {
  if (extended !== undefined) return /^\d{1,15}$/.test(extended) ? Number(extended) : null;
  const field = header.subarray(124, 136);
  const first = field[0] ?? 0;
  // GNU: the first bit marks a binary number, the second one its sign.
  const size =
    (first & 0x80) === 0
      ? octal(textOf(field))
      : (first & 0x40) !== 0
        ? NaN
        : field.subarray(1).reduce((sum, byte) => sum * 256 + byte, first & 0x3f);
  return Number.isSafeInteger(size) ? size : null;
}

/** Reads an octal number; NaN for anything else. `parseInt` would accept a sign, and text after the digits. */
function octal(text: string): number {
  const digits = text.trim();
  return /^[0-7]*$/.test(digits) ? parseInt(digits === '' ? '0' : digits, 8) : NaN;
}

function nameOf(header: Uint8Array): string {
  const name = textOf(header.subarray(0, 100));
  // Only POSIX archives have a prefix here; GNU archives have times.
  const prefix = textOf(header.subarray(257, 263)) === 'ustar' ? textOf(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function paxRecords(bytes: Uint8Array): (readonly [string, string])[] {
  const records: (readonly [string, string])[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? NaN : Number(Buffer.from(bytes.subarray(at, space)).toString('latin1'));
    if (!Number.isSafeInteger(length) || length <= space - at) break;
    const record = Buffer.from(bytes.subarray(space + 1, at + length - 1)).toString('utf8');
    const equals = record.indexOf('=');
    const key = record.slice(0, Math.max(0, equals));
    if (USED_RECORDS.has(key)) records.push([key, record.slice(equals + 1)]);
    at += length;
  }
  return records;
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
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
