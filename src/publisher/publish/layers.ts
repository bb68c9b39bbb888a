/**
 * Reads layers for derivation: diff IDs where a schema 1 is the only form, gzip copies where they are requested, and
 * which foreign layers have bytes.
 */
import { createHash } from 'node:crypto';
import type { ImageContent, Manifest, UnpackedLayer } from '../../manifest/image.ts';
import { EMPTY_LAYER } from '../../manifest/schema1.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { CommandError } from '../cli/errors.ts';
import type { EventSink } from './events.ts';
import { forEachLimit } from '../../bucket/concurrency.ts';
import { readLinks } from '../../manifest/links.ts';
import { gzip, type Compression, decompress, withinRatio } from '../streams/compression.ts';
import { CompressionError } from '../streams/zstd-frames.ts';
import type { SourceBlob, ImageSource } from '../../bucket/image-source.ts';
import { openBlob, verifyChunks } from '../streams/verified-stream.ts';

/** Which layers get a gzip copy: zstd ones, or all that are not gzip. */
export type Recompress = 'zstd' | 'all';

/** Work on the layers of one image, which is not repeated when the tag is written again. */
export interface LayerWork {
  /**
   * Adds the results to the content; `open` gives the bytes of the copies. Throws {@link CommandError} for a layer that
   * does not have its digest.
   */
  complete(
    content: Pick<ImageContent, 'roots' | 'children' | 'configs'>,
    source: ImageSource,
  ): Promise<{ readonly content: ImageContent; readonly open: (from: Digest) => Promise<SourceBlob> }>;
}

/** The options of {@link prepareLayers}. */
export interface LayerOptions {
  readonly recompress: Recompress | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: EventSink;
  /** Whether the bucket has a layer; by default it has none. */
  readonly isStored?: (layer: Digest) => Promise<boolean>;
}

/** Layers processed at once: compression runs in as many threads, and each reads the source. */
const AT_ONCE = 4;

/**
 * Prepares for one image. Nothing is read before {@link LayerWork.complete}, and no layer twice for the same result.
 */
export function prepareLayers({
  recompress,
  signal,
  onEvent,
  isStored = () => Promise.resolve(false),
}: LayerOptions): LayerWork {
  // Null: the layer was read, and has no result.
  const unpackedLayers = new Map<Digest, UnpackedLayer | null>();
  const copies = new Map<Digest, Descriptor | null>();
  const foreign = new Map<Digest, boolean>();

  async function look(digest: Digest, source: ImageSource): Promise<void> {
    onEvent({ event: 'working', what: `unpacking ${digest} to learn its diff ID` });
    unpackedLayers.set(digest, await unpackLayer(digest, source, signal));
  }

  async function copy(digest: Digest, source: ImageSource): Promise<void> {
    onEvent({ event: 'working', what: `compressing ${digest} again` });
    copies.set(digest, await measureCopy(digest, source, recompress, signal));
  }

  return {
    async complete(content, source) {
      const toUnpack = standsAlone(content.roots) ? layersOf(content.roots) : [];
      await forEachLimit(
        toUnpack.filter((digest) => !unpackedLayers.has(digest)),
        AT_ONCE,
        (digest) => look(digest, source),
      );
      const toCopy =
        recompress === undefined
          ? []
          : [...content.roots, ...content.children.values()].flatMap((manifest) => layersToCopy(manifest, recompress));
      await forEachLimit(
        [...new Set(toCopy)].filter((digest) => !copies.has(digest)),
        AT_ONCE,
        (digest) => copy(digest, source),
      );
      const toHold = [...content.roots, ...content.children.values()].flatMap(foreignLayers);
      await forEachLimit(
        [...new Set(toHold)].filter((digest) => !foreign.has(digest)),
        AT_ONCE,
        async (digest) => {
          foreign.set(digest, (await isStored(digest)) || (await isInSource(digest, source, signal)));
        },
      );
      return {
        content: {
          ...content,
          unpacked: found(unpackedLayers, toUnpack),
          recompressed: found(copies, toCopy),
          held: new Set(toHold.filter((digest) => foreign.get(digest) === true)),
        },
        open: async (from) => {
          const size = copies.get(from)?.size;
          const blob = await openBlob(source, { digest: from, size: undefined, role: 'layer' }, signal);
          return { size, chunks: copyOf(blob.chunks, from) };
        },
      };
    },
  };
}

function found<T>(known: ReadonlyMap<Digest, T | null>, wanted: readonly Digest[]): ReadonlyMap<Digest, T> {
  return new Map(
    wanted.flatMap((digest): [Digest, T][] => {
      const value = known.get(digest);
      return value === undefined || value === null ? [] : [[digest, value]];
    }),
  );
}

/** Whether the image has only schema 1, which does not describe the content of its layers. */
function standsAlone(roots: readonly Manifest[]): boolean {
  return roots.length > 0 && roots.every(({ form }) => form === 'docker-schema1');
}

/** Layers with addresses of their own (`urls`), which a source may have all the same. */
function foreignLayers({ bytes }: Manifest): readonly Digest[] {
  return (readLinks(bytes)?.layers ?? []).filter((layer) => layer.foreign).map(({ digest }) => digest);
}

async function isInSource(digest: Digest, source: ImageSource, signal: AbortSignal | undefined): Promise<boolean> {
  const blob = await source.blob(digest, signal === undefined ? {} : { signal });
  if (blob === null) return false;
  // Ending the loop closes what the source opened.
  for await (const chunk of blob.chunks) if (chunk.length > 0) break;
  return true;
}

function layersOf(manifests: readonly Manifest[]): readonly Digest[] {
  return [...new Set(manifests.flatMap(({ bytes }) => readLinks(bytes)?.layers.map(({ digest }) => digest) ?? []))];
}

const EMPTY = parseDigest(EMPTY_LAYER.digest);

async function unpackLayer(
  digest: Digest,
  source: ImageSource,
  signal: AbortSignal | undefined,
): Promise<UnpackedLayer | null> {
  // The empty layer is known without reading it: registries and some sources do not store it.
  const blob = digest === EMPTY ? emptyLayer() : await source.blob(digest, signal === undefined ? {} : { signal });
  if (blob === null) return null;
  const detected: { packing?: Compression } = {};
  const hash = createHash('sha256');
  const { chunks, read } = counted(verifyChunks(blob.chunks, { digest, size: blob.size, role: 'layer' }));
  try {
    for await (const chunk of withinRatio(decompress(chunks, detected), read)) {
      signal?.throwIfAborted();
      hash.update(chunk);
    }
  } catch (error) {
    if (error instanceof CompressionError) return null;
    throw error;
  }
  return { diffId: digestOf(hash.digest('hex')), size: read(), compression: detected.packing ?? 'none' };
}

/** Counts the bytes that are read. */
function counted(chunks: AsyncIterable<Uint8Array>): {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly read: () => number;
} {
  let size = 0;
  async function* counting(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of chunks) {
      size += chunk.length;
      yield chunk;
    }
  }
  return { chunks: counting(), read: () => size };
}

function emptyLayer(): SourceBlob {
  return {
    size: EMPTY_LAYER.bytes.length,
    chunks: (async function* () {
      yield await Promise.resolve(EMPTY_LAYER.bytes);
    })(),
  };
}

/** Compresses the layer once to compute the digest and size of its copy; null where no copy is needed. */
async function measureCopy(
  digest: Digest,
  source: ImageSource,
  recompress: Recompress | undefined,
  signal: AbortSignal | undefined,
): Promise<Descriptor | null> {
  const blob = await source.blob(digest, signal === undefined ? {} : { signal });
  // Sending the blobs reports a layer that is missing.
  if (blob === null) return null;
  const hash = createHash('sha256');
  let size = 0;
  const detected: { packing?: Compression } = {};
  // A layer that is gzip despite its media type (or plain, where only zstd is recompressed) stays as it is.
  const isRight = (packing: Compression): boolean =>
    packing === 'gzip' || (packing === 'none' && recompress === 'zstd');
  try {
    for await (const chunk of copyOf(blob.chunks, digest, detected, isRight)) {
      signal?.throwIfAborted();
      hash.update(chunk);
      size += chunk.length;
    }
  } catch (error) {
    if (error instanceof CompressionError) return null;
    throw error;
  }
  if (detected.packing === undefined || isRight(detected.packing)) return null;
  return { mediaType: MEDIA_TYPES.dockerLayerGzip, digest: digestOf(hash.digest('hex')), size };
}

function copyOf(
  chunks: AsyncIterable<Uint8Array>,
  digest: Digest,
  detected: { packing?: Compression } = {},
  stopAt: (packing: Compression) => boolean = () => false,
): AsyncIterable<Uint8Array> {
  const packed = counted(verifyChunks(chunks, { digest, size: undefined, role: 'layer' }));
  return gzip(withinRatio(decompress(packed.chunks, detected, stopAt), packed.read));
}

function digestOf(hex: string): Digest {
  const digest = parseDigest(`sha256:${hex}`);
  if (digest === null) throw new CommandError(`${hex} is not a sha256 digest`);
  return digest;
}

/**
 * The layers of an image whose media type is zstd, or plain tar as well. Foreign layers and the blobs of artifacts are
 * left out.
 */
function layersToCopy({ form, bytes }: Manifest, recompress: Recompress): readonly Digest[] {
  if (form !== 'oci-manifest' && form !== 'docker-schema2') return [];
  const { config, layers } = JSON.parse(new TextDecoder().decode(bytes)) as {
    config?: { mediaType?: unknown };
    layers?: unknown;
  };
  if (config?.mediaType !== MEDIA_TYPES.ociConfig && config?.mediaType !== MEDIA_TYPES.dockerConfig) return [];
  return (Array.isArray(layers) ? (layers as Partial<Record<'mediaType' | 'digest', unknown>>[]) : []).flatMap(
    ({ mediaType, digest }) => {
      const wanted = ZSTD_LAYERS.has(mediaType) || (recompress === 'all' && PLAIN_LAYERS.has(mediaType));
      return wanted && typeof digest === 'string' ? (parseDigest(digest) ?? []) : [];
    },
  );
}

const ZSTD_LAYERS: ReadonlySet<unknown> = new Set([MEDIA_TYPES.ociLayerZstd, MEDIA_TYPES.dockerLayerZstd]);
const PLAIN_LAYERS: ReadonlySet<unknown> = new Set([MEDIA_TYPES.ociLayerTar, MEDIA_TYPES.dockerLayerTar]);
