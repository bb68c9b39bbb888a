import { describe, expect, it, vi } from 'vitest';
import { titleOf } from '../../attacks.ts';
import { unpackLayer } from '../../../src/worker/ingest/schema1/unpack-layer.ts';
import { hash } from '../seed.ts';

const TAR = new Uint8Array(1_200_000).map((_, at) => (at * 31) >> 5);

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Response(bytes).body?.pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

const concat = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(parts.flatMap((part) => [...part]));

describe('unpacking a layer', () => {
  it.each([1_000_000, 65_536, 3])('tells its diff ID, size and compression, in chunks of %i bytes', async (size) => {
    const bytes = await gzip(TAR.subarray(0, 30_000));
    expect(await unpackLayer(inChunks(bytes, size), await hash(bytes))).toEqual({
      diffId: await hash(TAR.subarray(0, 30_000)),
      size: bytes.length,
      compression: 'gzip',
    });
  });

  it.each([1_200_000, 2])('of a plain tar is that of its bytes, in chunks of %i bytes', async (size) => {
    const bytes = TAR.subarray(0, size === 2 ? 2_000 : TAR.length);
    const digest = await hash(bytes);
    expect(await unpackLayer(inChunks(bytes, size), digest)).toEqual({
      diffId: digest,
      size: bytes.length,
      compression: 'none',
    });
  });

  it('verifies a sha512 digest too', async () => {
    const bytes = await gzip(TAR);
    expect(await unpackLayer(inChunks(bytes, 9_999), await hash(bytes, 'sha512'))).toMatchObject({
      diffId: await hash(TAR),
    });
  });

  it.each([
    ['zstd', Promise.resolve(new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]))],
    ['bzip2', Promise.resolve(new TextEncoder().encode('BZh91AY&SY'))],
    ['xz', Promise.resolve(new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1]))],
    ['gzip that is cut', gzip(TAR).then((bytes) => bytes.subarray(0, bytes.length - 9))],
    ['gzip that is damaged', gzip(TAR).then((bytes) => concat(bytes.subarray(0, 500), new Uint8Array(900).fill(7)))],
    // A second member would be left out of the digest without a word.
    [
      'gzip in two members',
      Promise.all([gzip(TAR.subarray(0, 9)), gzip(TAR.subarray(9, 99))]).then((all) => concat(...all)),
    ],
    ['gzip with bytes behind its end', gzip(TAR).then((bytes) => concat(bytes, new Uint8Array([1])))],
  ])('gives nothing for %s', async (_, packed) => {
    const bytes = await packed;
    expect(await unpackLayer(inChunks(bytes, 1_000), await hash(bytes))).toBeNull();
  });

  it('gives nothing for more content than the limit', async () => {
    const bytes = await gzip(TAR);
    expect(await unpackLayer(inChunks(bytes, 1_000), await hash(bytes), TAR.length - 1)).toBeNull();
    expect(await unpackLayer(inChunks(bytes, 1_000), await hash(bytes), TAR.length)).not.toBeNull();
  });

  it(
    titleOf('layer-bomb'),
    async () => {
      // 128 MiB of zeros.
      const zeros = new Uint8Array(1024 * 1024);
      let left = 128;
      const source = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          if (left-- > 0) controller.enqueue(zeros);
          else controller.close();
        },
      });
      const bomb = new Uint8Array(await new Response(source.pipeThrough(new CompressionStream('gzip'))).arrayBuffer());
      let unpacked = 0;
      const Native = DecompressionStream;
      vi.stubGlobal(
        'DecompressionStream',
        class {
          readonly writable: WritableStream;
          readonly readable: ReadableStream;
          constructor(format: ConstructorParameters<typeof Native>[0]) {
            const { readable, writable } = new Native(format);
            const counted = new TransformStream<Uint8Array, Uint8Array>({
              transform: (chunk, controller) => {
                unpacked += chunk.length;
                controller.enqueue(chunk);
              },
            });
            this.writable = writable;
            this.readable = readable.pipeThrough(counted);
          }
        },
      );
      try {
        expect(await unpackLayer(inChunks(bomb, 4_096), await hash(bomb))).toBeNull();
      } finally {
        vi.unstubAllGlobals();
      }
      expect(unpacked).toBeLessThan(68 * 1024 * 1024);
    },
    30_000,
  );

  it('gives the diff ID of a small layer, however well it is compressed', async () => {
    const bytes = await gzip(new Uint8Array(8 * 1024 * 1024));
    expect(await unpackLayer(inChunks(bytes, 4_096), await hash(bytes))).not.toBeNull();
  });

  it('fails for bytes that are not those of the digest', async () => {
    const bytes = await gzip(TAR);
    await expect(unpackLayer(inChunks(bytes, 1_000), await hash(TAR))).rejects.toThrow('expected sha256:');
  });

  it('fails with the error of what it reads', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield (await gzip(TAR)).subarray(0, 2_000);
      throw new Error('the connection is cut');
    }
    await expect(unpackLayer(broken(), await hash(TAR))).rejects.toThrow('the connection is cut');
  });
});
