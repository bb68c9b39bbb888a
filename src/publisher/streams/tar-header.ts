/** The fields of tar headers (POSIX pax and ustar, GNU). */

/** Bytes of a header, to whose multiples content is padded. */
export const TAR_BLOCK = 512;

/** How names are decoded: `latin1` keeps any bytes as they are. */
export type NameEncoding = 'utf8' | 'latin1';

/** The records of an extended header that are used; others could fill the memory. */
const USED_RECORDS: ReadonlySet<string> = new Set(['path', 'linkpath', 'size']);

/** Whether a header has the checksum that it says. */
export function hasChecksum(header: Uint8Array): boolean {
  const expected = parseInt(textOf(header.subarray(148, 156)).trim(), 8);
  let sum = 0;
  for (let index = 0; index < TAR_BLOCK; index += 1) sum += index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0);
  return expected === sum;
}

/** The size of a member in bytes; null if it is negative, too large, or not a number. */
export function sizeOf(extended: string | undefined, header: Uint8Array): number | null {
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

/** The name in a header, without extended headers. */
export function nameOf(header: Uint8Array, encoding: NameEncoding = 'utf8'): string {
  const name = textOf(header.subarray(0, 100), encoding);
  // Only POSIX archives have a prefix here; GNU archives have times.
  const prefix = textOf(header.subarray(257, 263)) === 'ustar' ? textOf(header.subarray(345, 500), encoding) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** The records of a pax header that are used. */
export function paxRecords(bytes: Uint8Array, encoding: NameEncoding = 'utf8'): (readonly [string, string])[] {
  const records: (readonly [string, string])[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? NaN : Number(Buffer.from(bytes.subarray(at, space)).toString('latin1'));
    if (!Number.isSafeInteger(length) || length <= space - at) break;
    const record = Buffer.from(bytes.subarray(space + 1, at + length - 1)).toString(encoding);
    const equals = record.indexOf('=');
    const key = record.slice(0, Math.max(0, equals));
    if (USED_RECORDS.has(key)) records.push([key, record.slice(equals + 1)]);
    at += length;
  }
  return records;
}

/** Text up to the first zero byte. */
export function textOf(bytes: Uint8Array, encoding: NameEncoding = 'utf8'): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString(encoding);
}

/** A member that is written. */
export interface TarMember {
  /** At most 100 characters, in latin1. */
  readonly path: string;
  readonly mode: number;
  /** Bytes of the content. */
  readonly size: number;
  /** `0`: a file; `L`: the GNU header for a long name. */
  readonly type?: '0' | 'L';
}

/** The header of a member (POSIX ustar), with root as owner and time 0. */
export function tarHeader({ path, mode, size, type = '0' }: TarMember): Uint8Array {
  const header = Buffer.alloc(TAR_BLOCK);
  header.write(path, 0, 'latin1');
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100, 'latin1');
  header.write('0000000\0', 108, 'latin1'); // owner
  header.write('0000000\0', 116, 'latin1'); // group
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.write('00000000000\0', 136, 'latin1'); // time
  header.write('        ', 148, 'latin1'); // the checksum counts as spaces
  header.write(type, 156, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}
