import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../../src/manifest/image.ts';
import { decompress, LAYER_RATIO_FREE, withinRatio } from '../../../src/publisher/streams/compression.ts';
import { titleOf } from '../../attacks.ts';
import { EMPTY_LAYER } from '../../../src/manifest/schema1.ts';
import { prepareLayers, type Recompress } from '../../../src/publisher/publish/layers.ts';
import type { ImageSource } from '../../../src/bucket/image-source.ts';
import { type Digest, parseDigest } from '../../../src/registry/digest.ts';
import { type Form, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../../src/registry/media-type.ts';

const TAR = Buffer.alloc(700_000, 'a layer, unpacked. ');
const ZEROS = Buffer.alloc(16 * 1024 * 1024);
const GZIP = gzipSync(TAR);
const ZSTD = zstdCompressSync(TAR);
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

describe('a schema 1 that stands alone', () => {
  test.each([
    ['gzip', GZIP, 'gzip'],
    ['gzip in two members', Buffer.concat([gzipSync(TAR.subarray(0, 1000)), gzipSync(TAR.subarray(1000))]), 'gzip'],
    ['zstd', ZSTD, 'zstd'],
    [
      'zstd in two frames, with a skippable one behind them',
      Buffer.concat([zstdCompressSync(TAR.subarray(0, 1000)), zstdCompressSync(TAR.subarray(1000)), SKIPPABLE]),
      'zstd',
    ],
    ['zstd that begins with a skippable frame', Buffer.concat([SKIPPABLE, ZSTD]), 'zstd'],
    ['plain', TAR, 'none'],
  ])('has its layers unpacked, whatever packs them: %s', async (_, bytes, compression) => {
    const work = prepareLayers({ recompress: undefined, signal: undefined, onEvent: () => undefined });
    const { content } = await work.complete(contentOf(schema1(bytes)), sourceOf(bytes));
    expect(content.unpacked?.get(sha256(bytes))).toEqual({ diffId: sha256(TAR), size: bytes.length, compression });
  });

  test.each([1, 3, 4, 7, 4096])('is unpacked the same in chunks of %i bytes', async (step) => {
    const text = TAR.subarray(0, 20_000);
    const bytes = Buffer.concat([
      SKIPPABLE,
      zstdCompressSync(text.subarray(0, 1000)),
      SKIPPABLE,
      SKIPPABLE,
      zstdCompressSync(text.subarray(1000)),
      zstdCompressSync(''),
      SKIPPABLE,
    ]);
    const work = prepareLayers({ recompress: undefined, signal: undefined, onEvent: () => undefined });
    const { content } = await work.complete(contentOf(schema1(bytes)), inSteps(step, bytes));
    expect(content.unpacked?.get(sha256(bytes))?.diffId).toEqual(sha256(text));
  });

  test.each([
    ['damaged gzip', Buffer.concat([GZIP.subarray(0, 500), Buffer.alloc(200_000, 7)])],
    ['cut gzip', GZIP.subarray(0, GZIP.length - 9)],
    ['gzip with bytes behind its end', Buffer.concat([GZIP, Buffer.from('and more')])],
    ['gzip with many bytes behind its end', Buffer.concat([GZIP, Buffer.alloc(300_000, 'x')])],
    ['zstd with bytes behind its end', Buffer.concat([ZSTD, Buffer.from('and more')])],
    ['zstd with less than a magic number behind its end', Buffer.concat([ZSTD, ZSTD.subarray(0, 3)])],
    ['cut zstd', ZSTD.subarray(0, ZSTD.length - 9)],
    ['bzip2', Buffer.from('BZh91AY&SY')],
    ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2, 3])],
  ])('does without a layer that cannot be unpacked: %s', async (_, bytes) => {
    const work = prepareLayers({ recompress: undefined, signal: undefined, onEvent: () => undefined });
    const { content } = await work.complete(contentOf(schema1(bytes, GZIP)), sourceOf(bytes, GZIP));
    expect([...(content.unpacked?.keys() ?? [])]).toEqual([sha256(GZIP)]);
  });

  test.each([
    ['gzip', gzipSync(ZEROS)],
    ['zstd', zstdCompressSync(ZEROS)],
  ])(`${titleOf('layer-bomb-published')} (%s)`, async (_, member) => {
    // 512 MiB, packed.
    const bomb = Buffer.concat(Array.from({ length: 32 }, () => member));
    let packed = 0;
    async function* reading(): AsyncGenerator<Uint8Array> {
      for await (const chunk of cut(bomb, 4_096)) {
        packed += chunk.length;
        yield chunk;
      }
    }
    let unpacked = 0;
    const unpack = async (): Promise<void> => {
      for await (const chunk of withinRatio(decompress(reading()), () => packed)) unpacked += chunk.length;
    };
    await expect(unpack()).rejects.toThrow('more than 200 times');
    expect(unpacked).toBeLessThanOrEqual(LAYER_RATIO_FREE);
    const work = prepareLayers({ recompress: undefined, signal: undefined, onEvent: () => undefined });
    const { content } = await work.complete(contentOf(schema1(bomb, GZIP)), sourceOf(bomb, GZIP));
    expect([...(content.unpacked?.keys() ?? [])]).toEqual([sha256(GZIP)]);
  });

  test('does without a layer that the source lacks, and knows the empty one', async () => {
    const work = prepareLayers({ recompress: undefined, signal: undefined, onEvent: () => undefined });
    const { content } = await work.complete(contentOf(schema1(GZIP, EMPTY_LAYER.bytes)), sourceOf());
    expect([...(content.unpacked?.values() ?? [])]).toEqual([
      { diffId: sha256(new Uint8Array(1024)), size: 32, compression: 'gzip' },
    ]);
  });

  test('is refused if a layer is not what its digest says', async () => {
    const work = prepareLayers({ recompress: undefined, signal: undefined, onEvent: () => undefined });
    await expect(work.complete(contentOf(schema1(GZIP)), lying(GZIP, gzipSync('other')))).rejects.toThrow(
      `the layer ${sha256(GZIP)}`,
    );
  });

  test('is unpacked once, however often it is tried to be written; beside another form it is not at all', async () => {
    const work = prepareLayers({ recompress: undefined, signal: undefined, onEvent: () => undefined });
    const { reads, ...source } = counting(sourceOf(GZIP));
    const alone = contentOf(schema1(GZIP));
    await work.complete(alone, source);
    await work.complete(alone, source);
    const { content } = await work.complete(
      { ...alone, roots: [...alone.roots, image('docker-schema2', [[MEDIA_TYPES.dockerLayerGzip, GZIP]])] },
      source,
    );
    expect(reads()).toBe(1);
    expect(content.unpacked?.size).toBe(0);
  });
});

describe('gzip copies', () => {
  test.each<[string, Recompress, Form, string, Buffer]>([
    ['zstd of an OCI image', 'zstd', 'oci-manifest', MEDIA_TYPES.ociLayerZstd, ZSTD],
    ['zstd of a Docker image', 'zstd', 'docker-schema2', MEDIA_TYPES.dockerLayerZstd, ZSTD],
    ['plain tar, if all are asked for', 'all', 'oci-manifest', MEDIA_TYPES.ociLayerTar, TAR],
  ])('are made of %s: the same bytes in both passes', async (_, recompress, form, mediaType, bytes) => {
    const work = prepareLayers({ recompress, signal: undefined, onEvent: () => undefined });
    const source = sourceOf(bytes);
    const { content, open } = await work.complete(contentOf(image(form, [[mediaType, bytes]])), source);
    const copy = content.recompressed.get(sha256(bytes));
    const opened = await open(sha256(bytes));
    const parts: Uint8Array[] = [];
    for await (const chunk of opened.chunks) parts.push(chunk);
    const whole = Buffer.concat(parts);
    expect(copy).toEqual({ mediaType: MEDIA_TYPES.dockerLayerGzip, digest: sha256(whole), size: whole.length });
    expect(opened.size).toBe(whole.length);
    expect(gunzipSync(whole).equals(TAR)).toBe(true);
    expect(whole.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
  });

  test('do not depend on how the source cuts its chunks', async () => {
    const digests = await Promise.all(
      [1_000, 65_536, 1_000_000].map(async (step) => {
        const work = prepareLayers({ recompress: 'zstd', signal: undefined, onEvent: () => undefined });
        const { content } = await work.complete(
          contentOf(image('oci-manifest', [[MEDIA_TYPES.ociLayerZstd, ZSTD]])),
          inSteps(step, ZSTD),
        );
        return content.recompressed.get(sha256(ZSTD))?.digest;
      }),
    );
    expect(new Set(digests).size).toBe(1);
  });

  test.each<[string, Recompress, string, Buffer]>([
    ['gzip', 'all', MEDIA_TYPES.ociLayerGzip, GZIP],
    ['plain tar, unless all are asked for', 'zstd', MEDIA_TYPES.ociLayerTar, TAR],
    ['gzip that calls itself zstd', 'zstd', MEDIA_TYPES.ociLayerZstd, GZIP],
    ['foreign layers', 'all', MEDIA_TYPES.ociLayerNondistributableZstd, ZSTD],
    ['what is damaged', 'zstd', MEDIA_TYPES.ociLayerZstd, ZSTD.subarray(0, ZSTD.length - 5)],
  ])('are not made of %s', async (_, recompress, mediaType, bytes) => {
    const work = prepareLayers({ recompress, signal: undefined, onEvent: () => undefined });
    const { content } = await work.complete(contentOf(image('oci-manifest', [[mediaType, bytes]])), sourceOf(bytes));
    expect(content.recompressed.size).toBe(0);
  });

  test('are not made of artifacts', async () => {
    const work = prepareLayers({ recompress: 'all', signal: undefined, onEvent: () => undefined });
    const artifact = image('oci-manifest', [[MEDIA_TYPES.ociLayerZstd, ZSTD]], MEDIA_TYPES.ociEmpty);
    const { content } = await work.complete(contentOf(artifact), sourceOf(ZSTD));
    expect(content.recompressed.size).toBe(0);
  });
});

function sha256(bytes: Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  if (digest === null) throw new Error('no digest');
  return digest;
}

function manifest(form: Form, value: unknown): Manifest {
  const bytes = Buffer.from(JSON.stringify(value));
  return { form, mediaType: MEDIA_TYPE_OF_FORM[form], digest: sha256(bytes), bytes };
}

function schema1(...layers: readonly Uint8Array[]): Manifest {
  return manifest('docker-schema1', {
    schemaVersion: 1,
    fsLayers: layers.map((bytes) => ({ blobSum: sha256(bytes) })),
  });
}

function image(
  form: Form,
  layers: readonly (readonly [string, Uint8Array])[],
  configType: string = MEDIA_TYPES.ociConfig,
): Manifest {
  return manifest(form, {
    schemaVersion: 2,
    config: { mediaType: configType, digest: sha256(Buffer.from('{}')), size: 2 },
    layers: layers.map(([mediaType, bytes]) => ({ mediaType, digest: sha256(bytes), size: bytes.length })),
  });
}

function contentOf(...roots: readonly Manifest[]) {
  return { roots, children: new Map(), configs: new Map() };
}

function inSteps(step: number, ...blobs: readonly Uint8Array[]): ImageSource {
  const known = new Map(blobs.map((bytes) => [sha256(bytes), bytes]));
  return {
    roots: [],
    manifest: () => Promise.resolve(null),
    blob: (digest) => {
      const bytes = known.get(digest);
      return Promise.resolve(bytes === undefined ? null : { size: bytes.length, chunks: cut(bytes, step) });
    },
    referrers: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

function sourceOf(...blobs: readonly Uint8Array[]): ImageSource {
  return inSteps(100_000, ...blobs);
}

async function* cut(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield await Promise.resolve(bytes.subarray(at, at + step));
}

function lying(asked: Uint8Array, given: Uint8Array): ImageSource {
  const source = sourceOf(given);
  return { ...source, blob: (digest) => source.blob(digest === sha256(asked) ? sha256(given) : digest) };
}

function counting(source: ImageSource): ImageSource & { reads: () => number } {
  let reads = 0;
  return {
    ...source,
    reads: () => reads,
    blob: (digest) => {
      reads += 1;
      return source.blob(digest);
    },
  };
}
