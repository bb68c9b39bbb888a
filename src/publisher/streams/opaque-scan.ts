import type { Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ZLIB_BLOCK } from './buffer-sizes.ts';
import { detectCompression } from './compression.ts';
import { TarError, TarScanner } from './tar-scanner.ts';

/** Bytes that tell the compression. */
const HEAD = 6;

/**
 * Counts members of a layer while it is sent. Layers that are neither gzip nor plain tar, and damaged ones, have none:
 * others report the damage. `counts` is called for each member's path.
 */
export class LayerScan {
  #count = 0;
  #first: string | null = null;
  #head: Uint8Array | null = new Uint8Array();
  #write: ((chunk: Uint8Array) => Promise<void>) | null = null;
  readonly #scanner: TarScanner;

  constructor(counts: (path: string) => boolean) {
    this.#scanner = new TarScanner((path) => {
      if (!counts(path)) return;
      this.#count += 1;
      this.#first ??= path;
    });
  }

  /** How many members were counted, and the first of them. */
  get found(): { readonly count: number; readonly first: string | null } {
    return { count: this.#count, first: this.#first };
  }

  /** Reads the next bytes of the layer. They may be reused when the promise has resolved, which never rejects. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#head === null) {
      await this.#write?.(chunk);
      return;
    }
    const head: Uint8Array = Buffer.concat([this.#head, chunk]);
    this.#head = head.length < HEAD ? head : null;
    if (this.#head !== null) return;
    const compression = detectCompression(head);
    if (compression === 'gzip') this.#write = this.#unpacking();
    else if (compression === 'none')
      this.#write = (bytes) => {
        this.#scan(bytes);
        return Promise.resolve();
      };
    await this.#write?.(head);
  }

  #scan(bytes: Uint8Array): void {
    try {
      this.#scanner.write(bytes);
    } catch (error) {
      if (!(error instanceof TarError)) throw error;
      this.#write = null;
    }
  }

  #unpacking(): (chunk: Uint8Array) => Promise<void> {
    const zlib: Transform = createGunzip({ chunkSize: ZLIB_BLOCK });
    const stop = (): void => {
      this.#write = null;
      zlib.destroy();
    };
    zlib.on('error', stop);
    zlib.on('data', (bytes: Buffer) => {
      this.#scan(bytes);
      if (this.#write === null) stop();
    });
    // The callback comes when zlib has used the chunk.
    return (chunk) => new Promise((resolve) => zlib.write(chunk, () => resolve()));
  }
}
