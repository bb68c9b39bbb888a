/**
 * Unpacks a layer to learn its diff ID, in a stream: a schema 2 names layers by the digest of their unpacked content, a
 * schema 1 does not.
 */
import type { UnpackedLayer } from '../../../manifest/image.ts';
import { OriginError } from '../../../origin/errors.ts';
import { algorithmOf, type Digest, parseDigest } from '../../../registry/digest.ts';

/** Longest unpacked content, in bytes: guards against layers that are made to unpack without end. */
const MAX_UNPACKED = 8 * 1024 ** 3;

/**
 * How many times larger than its compressed form a layer may become; not checked below `RATIO_FREE` bytes. Deflate
 * reaches 1,032 on zeros; images reach about 10.
 */
const MAX_RATIO = 200;
const RATIO_FREE = 64 * 1024 ** 2;

/** The compressions of layers by their first bytes. `null`: the platform does not unpack it. */
const MAGIC: readonly { readonly bytes: readonly number[]; readonly compression: 'gzip' | null }[] = [
  { bytes: [0x1f, 0x8b], compression: 'gzip' },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], compression: null },
  { bytes: [0x42, 0x5a, 0x68], compression: null },
  { bytes: [0xfd, 0x37, 0x7a, 0x58], compression: null },
];

/** Bytes that tell the compression. */
const HEAD = 4;

/**
 * Reads a layer to its end. Null: its content cannot be unpacked here (zstd, bzip2, xz, damaged, too long).
 * Throws {@link OriginError} if the bytes are not those of the digest, and whatever `chunks` throws.
 */
export async function unpackLayer(
  chunks: AsyncIterable<Uint8Array>,
  digest: Digest,
  maxUnpacked = MAX_UNPACKED,
): Promise<UnpackedLayer | null> {
  const packed = new crypto.DigestStream(algorithmOf(digest) === 'sha512' ? 'SHA-512' : 'SHA-256');
  const hashing = packed.getWriter();
  // Awaited below; where reading fails first, nobody does.
  packed.digest.catch(() => undefined);
  let content = null as Content | null;
  let head: Uint8Array | null = new Uint8Array();
  let size = 0;
  const write = async (chunk: Uint8Array): Promise<void> => {
    if (content === null) {
      content = openContent(chunk, maxUnpacked);
      content.allow(size);
    }
    await content.write(chunk);
  };
  try {
    for await (const chunk of chunks) {
      size += chunk.length;
      content?.allow(size);
      await hashing.write(chunk);
      if (head === null) await write(chunk);
      else {
        head = concat(head, chunk);
        if (head.length < HEAD) continue;
        await write(head);
        head = null;
      }
    }
    if (head !== null) await write(head);
    await hashing.close();
  } catch (error) {
    await Promise.all([hashing.abort(error).catch(() => undefined), content?.abandon(error)]);
    throw error;
  }
  const found = `${algorithmOf(digest)}:${hexOfBytes(await packed.digest)}`;
  if (found !== digest) {
    await content?.abandon(new Error('the layer is damaged'));
    throw new OriginError('ORIGIN_PROTOCOL', `expected ${digest}, received ${found}`);
  }
  const unpacked = await content?.finish();
  return unpacked === undefined || unpacked === null ? null : { ...unpacked, size };
}

/** Unpacks the bytes of a layer. Its methods do not fail: content that cannot be unpacked gives null. */
interface Content {
  /** Allows as much content as so many packed bytes may have. */
  allow(packed: number): void;
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<Pick<UnpackedLayer, 'diffId' | 'compression'> | null>;
  abandon(reason: unknown): Promise<void>;
}

function openContent(head: Uint8Array, maxUnpacked: number): Content {
  const magic = MAGIC.find(({ bytes }) => bytes.every((byte, at) => head[at] === byte));
  if (magic?.compression === null) return UNSUPPORTED;
  const compression = magic === undefined ? 'none' : 'gzip';
  const hash = new crypto.DigestStream('SHA-256');
  let length = 0;
  let most = RATIO_FREE;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      length += chunk.length;
      if (length > Math.min(most, maxUnpacked)) controller.error(new Error('the layer has too much content'));
      else controller.enqueue(chunk);
    },
  });
  const entry = compression === 'none' ? counted : new DecompressionStream('gzip');
  const done = (compression === 'none' ? counted.readable : entry.readable.pipeThrough(counted)).pipeTo(hash);
  // Awaited in `finish`; where writing fails first, nobody does.
  done.catch(() => undefined);
  hash.digest.catch(() => undefined);
  const writer = entry.writable.getWriter();
  let isBroken = false;
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    if (!isBroken) await work().catch(() => (isBroken = true));
  };
  return {
    allow: (packed) => {
      most = Math.max(RATIO_FREE, packed * MAX_RATIO);
    },
    write: (chunk) => attempt(() => writer.write(chunk)),
    finish: async () => {
      await attempt(() => writer.close());
      await attempt(() => done);
      const diffId = isBroken ? null : parseDigest(`sha256:${hexOfBytes(await hash.digest)}`);
      return diffId === null ? null : { diffId, compression };
    },
    abandon: (reason) => writer.abort(reason).catch(() => undefined),
  };
}

const UNSUPPORTED: Content = {
  allow: () => undefined,
  write: () => Promise.resolve(),
  finish: () => Promise.resolve(null),
  abandon: () => Promise.resolve(),
};

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function hexOfBytes(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
