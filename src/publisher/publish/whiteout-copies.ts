/**
 * Copies of layers with explicit whiteouts, for schema 1 (`--rewrite-opaque`). A copy is the layer with whiteouts of
 * single files in front of it. Layers are read in streams, and only names are kept in memory.
 */
import { createHash } from 'node:crypto';
import { forEachLimit } from '../../bucket/concurrency.ts';
import type { ImageSource, SourceBlob } from '../../bucket/image-source.ts';
import type { ImageContent } from '../../manifest/image.ts';
import { isForeign, isImage } from '../../manifest/layer-types.ts';
import { type ImageManifest, readImageManifest } from '../../manifest/read.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { decompress, gzip } from '../streams/compression.ts';
import { TAR_BLOCK, tarHeader } from '../streams/tar-header.ts';
import { TarError, TarScanner, type OnMember } from '../streams/tar-scanner.ts';
import { openBlob, verifyChunks } from '../streams/verified-stream.ts';
import { CompressionError } from '../streams/zstd-frames.ts';
import type { EventSink } from './events.ts';
import { LowerLayers, NameBudget, opaqueFolder, OpaqueLayer, TooManyNamesError } from './opaque-whiteouts.ts';

/** Layers that are read at once. */
const AT_ONCE = 4;

/** Most opaque folders of one image that are rewritten. */
const FOLDERS_MAX = 100_000;

/** The copies of some images. */
export interface WhiteoutCopies {
  /** Config → for each layer its copy, or null where it needs none. */
  readonly byConfig: ReadonlyMap<Digest, readonly (Descriptor | null)[]>;
  /** Why images have none that need some. */
  readonly warnings: readonly string[];
  /** The bytes of a copy. Throws CommandError if the source does not have the layer. */
  open(copy: Digest): Promise<SourceBlob>;
}

/** Makes the copies. The work of one call is not repeated in the next one for the same images. */
export interface WhiteoutWork {
  copies(content: Pick<ImageContent, 'roots' | 'children'>, source: ImageSource): Promise<WhiteoutCopies>;
}

interface Copy {
  readonly descriptor: Descriptor;
  readonly from: Digest;
  readonly whiteouts: readonly string[];
}

/** Prepares the work; nothing is read before it is requested. */
export function prepareWhiteouts(options: {
  readonly signal: AbortSignal | undefined;
  readonly onEvent: EventSink;
}): WhiteoutWork {
  const { signal, onEvent } = options;
  const opaque = new Map<Digest, ReadonlySet<string>>();
  const done = new Map<Digest, readonly (Copy | null)[]>();
  const warnings = new Map<Digest, string>();

  async function opaqueFoldersOf(layer: Digest, source: ImageSource): Promise<ReadonlySet<string>> {
    const known = opaque.get(layer);
    if (known !== undefined) return known;
    onEvent({ event: 'working', what: `looking for opaque whiteouts in ${layer}` });
    const found = new Set<string>();
    await scan(layer, source, signal, (path) => {
      const folder = opaqueFolder(path);
      if (folder !== null) found.add(folder);
      if (found.size > FOLDERS_MAX) throw new TooManyNamesError('a layer has too many opaque folders');
    });
    opaque.set(layer, found);
    return found;
  }

  async function copiesOf({ layers }: ImageManifest, source: ImageSource): Promise<readonly (Copy | null)[]> {
    await forEachLimit([...new Set(layers.map(({ digest }) => digest))], AT_ONCE, async (digest) => {
      await opaqueFoldersOf(digest, source);
    });
    const whiteouts = await whiteoutsOf(
      layers.map(({ digest }) => ({ digest, opaque: opaque.get(digest) ?? new Set<string>() })),
      source,
      signal,
    );
    const copies = new Map<number, Copy>();
    await forEachLimit([...whiteouts.entries()], AT_ONCE, async ([at, paths]) => {
      const layer = layers[at];
      if (layer === undefined || paths.length === 0) return;
      onEvent({ event: 'working', what: `writing ${String(paths.length)} whiteouts into a copy of ${layer.digest}` });
      copies.set(at, {
        descriptor: await measure(layer.digest, paths, source, signal),
        from: layer.digest,
        whiteouts: paths,
      });
    });
    return layers.map((_, at) => copies.get(at) ?? null);
  }

  return {
    async copies({ roots, children }, source) {
      const images = imagesOf([...roots, ...children.values()]);
      for (const [config, image] of images) {
        if (done.has(config)) continue;
        try {
          done.set(config, await copiesOf(image, source));
        } catch (error) {
          const isKnown =
            error instanceof TooManyNamesError || error instanceof TarError || error instanceof CompressionError;
          if (!isKnown) throw error;
          done.set(config, []);
          warnings.set(config, `no opaque whiteouts were rewritten in the image ${config}: ${error.message}`);
        }
      }
      const all = [...images.keys()].flatMap((config) => done.get(config) ?? []).filter((copy) => copy !== null);
      const byDigest = new Map(all.map((copy) => [copy.descriptor.digest, copy]));
      return {
        byConfig: new Map(
          [...images.keys()].map((config) => [
            config,
            (done.get(config) ?? []).map((copy) => copy?.descriptor ?? null),
          ]),
        ),
        warnings: [...images.keys()].flatMap((config) => warnings.get(config) ?? []),
        open: async (digest) => {
          const copy = byDigest.get(digest);
          if (copy === undefined) throw new TypeError(`${digest} is not a copy`);
          const blob = await openBlob(source, { digest: copy.from, size: undefined, role: 'layer' }, signal);
          return { size: copy.descriptor.size, chunks: copyOf(blob.chunks, copy.from, copy.whiteouts) };
        },
      };
    },
  };
}

/** Config → an image with it. Images with one config have the same files. */
function imagesOf(manifests: readonly ImageContent['roots'][number][]): ReadonlyMap<Digest, ImageManifest> {
  const images = manifests
    .filter(({ form }) => form === 'oci-manifest' || form === 'docker-schema2')
    .map((manifest) => readImageManifest(manifest))
    // Foreign layers have no schema 1, or no bytes here.
    .filter((image) => isImage(image) && !image.layers.some(isForeign));
  return new Map(images.map((image) => [image.config.digest, image]));
}

/** The whiteouts for each layer that needs some, by its position. */
async function whiteoutsOf(
  layers: readonly { readonly digest: Digest; readonly opaque: ReadonlySet<string> }[],
  source: ImageSource,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const last = layers.findLastIndex(({ opaque }) => opaque.size > 0);
  const budget = new NameBudget();
  const own = new Map<number, OpaqueLayer>();
  for (const [at, { digest, opaque }] of layers.entries()) {
    // The base has nothing below it.
    if (at === 0 || opaque.size === 0) continue;
    const layer = new OpaqueLayer(opaque, budget);
    await scan(digest, source, signal, (path, isFolder) => layer.add({ path, isFolder }));
    own.set(at, layer);
  }
  const lower = new LowerLayers(
    [...own.values()].flatMap(({ folders }) => [...folders]),
    budget,
  );
  const whiteouts = new Map<number, readonly string[]>();
  for (const [at, { digest }] of layers.slice(0, last + 1).entries()) {
    const layer = own.get(at);
    if (layer !== undefined) whiteouts.set(at, layer.whiteouts(lower));
    if (at === last) break;
    await scan(digest, source, signal, (path, isFolder) => lower.add({ path, isFolder }));
    lower.endLayer();
  }
  return whiteouts;
}

/** Reads the members of a layer. Throws {@link TarError}, {@link CompressionError} and CommandError. */
async function scan(
  digest: Digest,
  source: ImageSource,
  signal: AbortSignal | undefined,
  onMember: OnMember,
): Promise<void> {
  const blob = await openBlob(source, { digest, size: undefined, role: 'layer' }, signal);
  const scanner = new TarScanner(onMember);
  for await (const chunk of decompress(verifyChunks(blob.chunks, { digest, size: blob.size, role: 'layer' }))) {
    signal?.throwIfAborted();
    scanner.write(chunk);
  }
}

async function measure(
  layer: Digest,
  whiteouts: readonly string[],
  source: ImageSource,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const blob = await openBlob(source, { digest: layer, size: undefined, role: 'layer' }, signal);
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of copyOf(blob.chunks, layer, whiteouts)) {
    signal?.throwIfAborted();
    hash.update(chunk);
    size += chunk.length;
  }
  const digest = parseDigest(`sha256:${hash.digest('hex')}`);
  if (digest === null) throw new TypeError('a sha256 is always a digest');
  return { mediaType: MEDIA_TYPES.dockerLayerGzip, digest, size };
}

function copyOf(
  chunks: AsyncIterable<Uint8Array>,
  layer: Digest,
  whiteouts: readonly string[],
): AsyncIterable<Uint8Array> {
  async function* content(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const path of whiteouts) yield whiteout(path);
    yield* decompress(verifyChunks(chunks, { digest: layer, size: undefined, role: 'layer' }));
  }
  return gzip(content());
}

/** Longest name in a header. */
const NAME_MAX = 100;

/** An empty file. A long name has a header of its own (GNU), whose bytes may be of any encoding. */
function whiteout(path: string): Uint8Array {
  const file = tarHeader({ path: path.slice(0, NAME_MAX), mode: 0o644, size: 0 });
  if (path.length <= NAME_MAX) return file;
  const content = Buffer.alloc(Math.ceil((path.length + 1) / TAR_BLOCK) * TAR_BLOCK);
  content.write(path, 'latin1');
  const name = tarHeader({ path: '././@LongLink', mode: 0, size: path.length + 1, type: 'L' });
  return Buffer.concat([name, content, file]);
}
