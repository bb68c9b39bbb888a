/**
 * The members of a docker-archive: what `docker load`, `podman load` and `skopeo copy docker-archive:` read.
 *
 * `manifest.json` is for Docker 1.10 and newer, podman, skopeo and containerd. Docker before 1.10 reads `repositories`
 * and one folder for each image ID, and takes every folder at the top for one (moby 1.6 to 1.9, graph/load.go). So the
 * layers are files at the top, and the folders link to them, as in the archives of skopeo. All of these programs unpack
 * layers in gzip, so layers are archived as they are stored, and all sizes are known before the first byte is sent.
 */
import { buildSchema1, EMPTY_LAYER } from '../../manifest/schema1.ts';
import { isZstd } from '../../manifest/layer-types.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import { type Digest, hexOf } from '../../registry/digest.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { TarEntry } from './tar.ts';

/** The image of an archive. */
export interface ArchivedImage {
  /** What the image is called after loading, without the tag: host and repository. */
  readonly repository: string;
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly config: { readonly digest: Digest; readonly bytes: Uint8Array };
  /** Base first. */
  readonly layers: readonly Descriptor[];
}

/** The members, with the small ones first. `open` gives the bytes of a layer. */
export function archiveEntries(
  image: ArchivedImage,
  open: (layer: Descriptor) => Promise<Uint8Array | ReadableStream<Uint8Array>>,
): readonly TarEntry[] {
  const { repository, tag, config, layers } = image;
  const configPath = `${hexOf(config.digest)}.json`;
  const manifest = [{ Config: configPath, RepoTags: [`${repository}:${tag}`], Layers: layers.map(layerPath) }];
  const unique = [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
  return [
    { kind: 'file', path: configPath, bytes: config.bytes },
    file('manifest.json', JSON.stringify(manifest)),
    ...legacyEntries(image),
    ...unique.map((layer): TarEntry => {
      return { kind: 'stream', path: layerPath(layer), size: layer.size, open: () => open(layer) };
    }),
  ];
}

/**
 * The members for Docker before 1.10, with the image IDs that these engines have after a pull. None for an image
 * without a schema 1: such an engine could not pull it either.
 */
function legacyEntries({ repository, name, tag, config, layers }: ArchivedImage): readonly TarEntry[] {
  if (layers.some(isZstd)) return [];
  const digests = layers.map(({ digest }) => digest);
  const built = buildSchema1({ config: config.bytes, layers: digests, name, tag }, 'strict');
  if (built.kind === 'refused') return [];
  const { fsLayers, history } = JSON.parse(new TextDecoder().decode(built.payload)) as Schema1Payload;
  const images = history.map(({ v1Compatibility }, index) => {
    const { id } = JSON.parse(v1Compatibility) as { readonly id: string };
    return { id, json: v1Compatibility, layer: fsLayers[index]?.blobSum ?? EMPTY_LAYER.digest };
  });
  const top = images[0]?.id ?? '';
  const addsEmpty = built.needsEmptyLayer && !digests.some((digest) => digest === EMPTY_LAYER.digest);
  return [
    file('repositories', JSON.stringify({ [repository]: { [tag]: top } })),
    ...images.flatMap(({ id, json, layer }): TarEntry[] => [
      file(`${id}/VERSION`, '1.0'),
      file(`${id}/json`, json),
      { kind: 'link', path: `${id}/layer.tar`, target: `../${layerPath({ digest: layer })}` },
    ]),
    ...(addsEmpty
      ? [{ kind: 'file' as const, path: layerPath({ digest: EMPTY_LAYER.digest }), bytes: EMPTY_LAYER.bytes }]
      : []),
  ];
}

interface Schema1Payload {
  readonly fsLayers: readonly { readonly blobSum: string }[];
  readonly history: readonly { readonly v1Compatibility: string }[];
}

/** Digests of sha512 have 128 digits, and a path of ustar 100. */
function layerPath({ digest }: { readonly digest: string }): string {
  return `${digest.slice(digest.indexOf(':') + 1, digest.indexOf(':') + 65)}.tar`;
}

function file(path: string, text: string): TarEntry {
  return { kind: 'file', path, bytes: new TextEncoder().encode(text) };
}
