import { hasChecksum, nameOf, paxRecords, sizeOf, TAR_BLOCK, textOf } from './tar-header.ts';

/** Receives the members of an archive: path as latin1 text without `.` and empty parts, and whether it is a folder. */
export type OnMember = (path: string, isFolder: boolean) => void;

/** Longest extended header that is read, in bytes. */
const EXTENSION_MAX = 65_536;

/** Content that is no tar archive, or one that no program writes. */
export class TarError extends Error {
  override readonly name = 'TarError';
}

/**
 * Reports the members of a tar archive that arrives in chunks, in one header's memory. Hard links and devices count as
 * files. Members outside of the archive's root (`..`) are not reported.
 */
export class TarScanner {
  readonly #onMember: OnMember;
  /** Header or extended header that is being read. */
  #block: Buffer = Buffer.alloc(TAR_BLOCK);
  #filled = 0;
  #extension: string | null = null;
  #extended = new Map<string, string>();
  /** Bytes of content that are skipped before the next header. */
  #skip = 0;
  #isOver = false;

  constructor(onMember: OnMember) {
    this.#onMember = onMember;
  }

  /** Reads the next bytes, and keeps none of them. Throws {@link TarError}. */
  write(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.#isOver;) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      const part = chunk.subarray(at, at + this.#block.length - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#block.length) continue;
      this.#filled = 0;
      if (this.#extension === null) this.#readHeader();
      else this.#readExtension(this.#extension);
    }
  }

  #readHeader(): void {
    const header = this.#block;
    if (header.every((byte) => byte === 0)) {
      this.#isOver = true;
      return;
    }
    if (!hasChecksum(header)) throw new TarError('a header of the tar archive is damaged');
    const type = String.fromCharCode(header[156] ?? 0);
    const isExtension = type === 'x' || type === 'L' || type === 'K';
    const size = sizeOf(isExtension ? undefined : this.#extended.get('size'), header);
    if (size === null) throw new TarError('a size in the tar archive cannot be read');
    const padded = Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
    if (isExtension && size > 0) {
      if (size > EXTENSION_MAX) throw new TarError(`a name of the tar archive has ${String(size)} bytes`);
      this.#extension = type;
      this.#block = Buffer.alloc(size);
      this.#skip = 0;
      return;
    }
    this.#skip = padded;
    if (type === 'g' || isExtension) return;
    const path = partsOf(this.#extended.get('path') ?? nameOf(header, 'latin1'));
    this.#extended = new Map();
    if (path !== null) this.#onMember(path, type === '5');
  }

  #readExtension(type: string): void {
    const bytes = this.#block;
    if (type === 'x') for (const [key, value] of paxRecords(bytes, 'latin1')) this.#extended.set(key, value);
    else if (type === 'L') this.#extended.set('path', textOf(bytes, 'latin1'));
    this.#extension = null;
    this.#block = Buffer.alloc(TAR_BLOCK);
    this.#skip = (TAR_BLOCK - (bytes.length % TAR_BLOCK)) % TAR_BLOCK;
  }
}

/** A path without `.`, empty parts and slashes at its ends; null if it leads out of the archive. */
function partsOf(path: string): string | null {
  // Most paths are already so.
  if (!/(?:^|\/)(?:\.{0,2})(?:\/|$)/.test(path)) return path;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? null : parts.join('/');
}
