/**
 * Splits zstd data into frames (RFC 8878 §3.1). Node's decompressor silently drops bytes that follow a frame in the
 * same chunk, and layers consist of many frames: pzstd writes several, zstd:chunked one for each file.
 */

/** Compressed bytes are damaged, or in a format that is not read (bzip2, xz). */
export class CompressionError extends Error {
  override readonly name = 'CompressionError';
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

type Step =
  /** The magic number, which determines the kind of frame. */
  | { readonly kind: 'magic'; readonly bytes: 4 }
  | { readonly kind: 'descriptor'; readonly bytes: 1 }
  | { readonly kind: 'header'; readonly bytes: number; readonly checksum: boolean }
  | { readonly kind: 'block'; readonly bytes: 3; readonly checksum: boolean }
  | { readonly kind: 'content'; readonly bytes: number; readonly checksum: boolean; readonly last: boolean }
  | { readonly kind: 'checksum'; readonly bytes: 4 }
  | { readonly kind: 'skip-size'; readonly bytes: 4 }
  | { readonly kind: 'skip'; readonly bytes: number };

const BEGIN: Step = { kind: 'magic', bytes: 4 };

/**
 * Splits at the ends of frames and omits skippable ones. Throws {@link CompressionError} if a frame is not valid or
 * incomplete.
 */
export async function* zstdFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let step = BEGIN;
  // The bytes of the current step, if it is parsed.
  let seen: number[] = [];
  let missing: number = step.bytes;
  for await (const chunk of chunks) {
    let at = 0;
    // The start of the part of the chunk that belongs to a frame and is not yielded yet.
    let from = 0;
    while (at < chunk.length) {
      const taken = Math.min(missing, chunk.length - at);
      if (isParsed(step)) for (const byte of chunk.subarray(at, at + taken)) seen.push(byte);
      at += taken;
      missing -= taken;
      if (isOmitted(step)) from = at;
      while (missing === 0) {
        const next = after(step, seen);
        // The magic number may span two chunks, so it is yielded separately once the frame is known to be kept.
        if (next.kind === 'descriptor') yield Uint8Array.from(seen);
        if (next === BEGIN && at > from) {
          yield chunk.subarray(from, at);
          from = at;
        }
        step = next;
        seen = [];
        missing = step.bytes;
      }
    }
    if (at > from) yield chunk.subarray(from, at);
  }
  if (step !== BEGIN || seen.length > 0) throw new CompressionError('the zstd data ends too early');
}

function isParsed({ kind }: Step): boolean {
  return kind !== 'content' && kind !== 'checksum' && kind !== 'skip';
}

function isOmitted({ kind }: Step): boolean {
  return kind === 'magic' || kind === 'skip-size' || kind === 'skip';
}

function after(step: Step, seen: readonly number[]): Step {
  switch (step.kind) {
    case 'magic': {
      const magic = littleEndian(seen);
      if (magic === MAGIC) return { kind: 'descriptor', bytes: 1 };
      if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) return { kind: 'skip-size', bytes: 4 };
      throw new CompressionError('the bytes after the zstd data are not a zstd frame');
    }
    case 'descriptor': {
      const [descriptor = 0] = seen;
      const isSingle = (descriptor & 0x20) !== 0;
      const ofContentSize = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
      const ofDictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
      return {
        kind: 'header',
        bytes: (isSingle ? 0 : 1) + ofContentSize + ofDictionary,
        checksum: (descriptor & 4) !== 0,
      };
    }
    case 'header':
      return { kind: 'block', bytes: 3, checksum: step.checksum };
    case 'block': {
      const header = littleEndian(seen);
      // A block of one repeated byte has that byte alone.
      return {
        kind: 'content',
        bytes: ((header >> 1) & 3) === 1 ? 1 : header >>> 3,
        checksum: step.checksum,
        last: (header & 1) === 1,
      };
    }
    case 'content':
      if (!step.last) return { kind: 'block', bytes: 3, checksum: step.checksum };
      return step.checksum ? { kind: 'checksum', bytes: 4 } : BEGIN;
    case 'skip-size':
      return { kind: 'skip', bytes: littleEndian(seen) };
    case 'checksum':
    case 'skip':
      return BEGIN;
  }
}

function littleEndian(bytes: readonly number[]): number {
  return bytes.reduce((sum, byte, index) => sum + byte * 2 ** (8 * index), 0);
}
