/** Tar archives (POSIX ustar) as streams of a known length: files from memory, files from elsewhere, and links. */

/** A member of an archive. `path` has at most 100 characters of ASCII. */
export type TarEntry =
  | { readonly kind: 'file'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  /** `open` gives exactly `size` bytes; it is called when the entry is reached. */
  | {
      readonly kind: 'stream';
      readonly path: string;
      readonly size: number;
      readonly open: () => Promise<Uint8Array | ReadableStream<Uint8Array>>;
    };

const BLOCK = 512;

/** Largest number in the eleven octal digits of a header. GNU tar and Go write larger ones in binary. */
const OCTAL_MAX = 0o77777777777;

/** Length of an archive, in bytes. */
export function tarLength(entries: readonly TarEntry[]): number {
  return entries.reduce((sum, entry) => sum + BLOCK + padded(sizeOf(entry)), 2 * BLOCK);
}

/**
 * The bytes of an archive. An error of an entry is the stream's error, and the runtime then breaks the response off.
 */
export function tarStream(entries: readonly TarEntry[]): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(tarLength(entries));
  const writer = writable.getWriter();
  writeAll(entries, (bytes) => writer.write(bytes))
    .then(() => writer.close())
    .catch((error: unknown) => writer.abort(error).catch(() => undefined));
  return readable;
}

async function writeAll(entries: readonly TarEntry[], write: (bytes: Uint8Array) => Promise<unknown>): Promise<void> {
  for (const entry of entries) {
    await write(headerOf(entry));
    const content = entry.kind === 'stream' ? await entry.open() : entry.kind === 'file' ? entry.bytes : null;
    if (content instanceof Uint8Array) {
      if (content.length > 0) await write(content);
    } else if (content !== null) {
      await copy(content, write);
    }
    const size = sizeOf(entry);
    if (padded(size) > size) await write(new Uint8Array(padded(size) - size));
  }
  await write(new Uint8Array(2 * BLOCK));
}

/** Bytes that are read at once. The runtime's default is 4 KiB. */
const CHUNK = 65_536;

/** The end may come with the last bytes or after them. */
interface ReadResult {
  readonly done: boolean;
  readonly value?: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Writes a body through one buffer, which is free again when `write` has resolved. `pipeTo` is no way: a layer from an
 * upstream is a FixedLengthStream, and workerd pipes none into another.
 */
async function copy(body: ReadableStream<Uint8Array>, write: (bytes: Uint8Array) => Promise<unknown>): Promise<void> {
  const reader = body.getReader({ mode: 'byob' });
  try {
    let buffer = new ArrayBuffer(CHUNK);
    for (;;) {
      const { done, value }: ReadResult = await reader.readAtLeast(CHUNK, new Uint8Array(buffer));
      if (value !== undefined && value.length > 0) await write(value);
      if (done || value === undefined) return;
      buffer = value.buffer;
    }
  } catch (error) {
    await reader.cancel(error).catch(() => undefined);
    throw error;
  }
}

function sizeOf(entry: TarEntry): number {
  return entry.kind === 'link' ? 0 : entry.kind === 'file' ? entry.bytes.length : entry.size;
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** The header of an entry: owned by root, time 0, so that the same image gives the same archive. */
function headerOf(entry: TarEntry): Uint8Array {
  const header = new Uint8Array(BLOCK);
  const text = (value: string, at: number): void => void new TextEncoder().encodeInto(value, header.subarray(at));
  const octal = (value: number, at: number, digits: number): void => text(value.toString(8).padStart(digits, '0'), at);
  const size = sizeOf(entry);
  text(entry.path, 0);
  octal(entry.kind === 'link' ? 0o777 : 0o644, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  if (size <= OCTAL_MAX) octal(size, 124, 11);
  else new DataView(header.buffer).setBigUint64(128, BigInt(size));
  if (size > OCTAL_MAX) header[124] = 0x80;
  octal(0, 136, 11);
  text(entry.kind === 'link' ? '2' : '0', 156);
  if (entry.kind === 'link') text(entry.target, 157);
  text('ustar\u000000', 257);
  // The checksum is computed as if its own field were spaces.
  text(' '.repeat(8), 148);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  header[154] = 0;
  return header;
}
