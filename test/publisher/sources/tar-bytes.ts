/** Tar archives byte by byte, for headers that no program writes. */

/** A member, and what is wrong with it. */
export interface TarMember {
  readonly name: string;
  readonly content?: Uint8Array;
  /** The type flag; `0`, a file, by default. */
  readonly type?: string;
  /** The 12 bytes of the size field, instead of the content's size. */
  readonly sizeField?: Uint8Array | string;
}

/** Writes one header with a right checksum, and the content padded to blocks. */
export function tarMember({ name, content = new Uint8Array(), type = '0', sizeField }: TarMember): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  const size = sizeField ?? `${content.length.toString(8).padStart(11, '0')}\0`;
  header.set(typeof size === 'string' ? Buffer.from(size.padEnd(12, '\0')) : size, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** Writes an archive with its two empty blocks. */
export function tarBytes(members: readonly TarMember[]): Buffer {
  return Buffer.concat([...members.map(tarMember), Buffer.alloc(1024)]);
}

/** One record of a pax header. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (String(length).length + Buffer.byteLength(rest) !== length)
    length = String(length).length + Buffer.byteLength(rest);
  return `${String(length)}${rest}`;
}
