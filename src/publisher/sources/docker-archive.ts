/**
 * `docker-archive:FILE[:NAME:TAG]`: an archive of `docker save` (also `podman save`, `skopeo copy … docker-archive:`).
 * Its `manifest.json` has the paths of a config and layers, but it contains no registry manifest: a schema 2 manifest
 * is created for the unchanged layers. Archives of Docker 25 and later also contain an OCI layout; its manifests are
 * used instead.
 */
import { createHash } from 'node:crypto';
import { type Digest, hexOf, parseDigest } from '../../registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../registry/media-type.ts';
import { CommandError } from '../cli/errors.ts';
import { readLinks } from '../../manifest/links.ts';
import { detectCompression } from '../streams/compression.ts';
import { type Archive, type ArchiveOptions, openImageIn } from './archive.ts';
import { layoutIn } from './oci-archive.ts';
import { openLayout } from './oci-layout.ts';
import { parseRemoteImage } from './registry/remote-name.ts';
import { objectOf } from '../../registry/values/json.ts';
import type { ImageSource } from '../../bucket/image-source.ts';

/** containerd's name of an image, in an `index.json`. */
const IMAGE_NAME = 'io.containerd.image.name';

/** The most layers of an image, and the most manifests of the layout that are searched for it. */
const MAX_LAYERS = 1000;
const MAX_SEARCHED = 10_000;

/** One image of a `manifest.json` (docker/docker, image/tarexport). */
interface SavedImage {
  readonly config: string;
  readonly names: readonly string[];
  readonly layers: readonly string[];
}

/**
 * Opens an image of an archive: by name or by index (`@N`, from 0). The name may be omitted if there is one image.
 * Throws {@link CommandError}.
 */
export function openDockerArchive(where: string, options: ArchiveOptions): Promise<ImageSource> {
  return openImageIn(where, options, chooseSavedImage);
}

/** The image of an open archive, as in {@link openDockerArchive}. Throws {@link CommandError}. */
export async function chooseSavedImage(archive: Archive, ref: string | undefined): Promise<ImageSource> {
  const saved = choose(archive, await readSaved(archive), ref);
  const root = await findInLayout(archive, saved);
  return root === null ? makeImage(archive, saved) : openLayout(layoutIn(archive), root);
}

async function readSaved(archive: Archive): Promise<readonly SavedImage[]> {
  const bytes = await archive.read('manifest.json');
  if (bytes === null) {
    if (archive.has('repositories')) {
      throw new CommandError(`${archive.title} has no manifest.json: it was written by Docker before 1.10`, {
        hint: 'Load it with a newer Docker and save it again.',
      });
    }
    const hint = archive.has('index.json')
      ? 'It is an OCI layout: write oci-archive: instead.'
      : 'Check that it is a complete archive of docker save.';
    throw new CommandError(`${archive.title} has no manifest.json`, { hint });
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new CommandError(`${archive.title}: manifest.json is not JSON`, { hint: 'Save the image again.', cause });
  }
  if (!Array.isArray(value))
    throw new CommandError(`${archive.title}: manifest.json is not a list of images`, {
      hint: 'Save the image again.',
    });
  return value.map((item: unknown): SavedImage => {
    const { Config: config, RepoTags: names, Layers: layers } = objectOf(item);
    if (typeof config !== 'string' || !isTexts(layers)) {
      throw new CommandError(`${archive.title}: manifest.json names an image without config or layers`, {
        hint: 'Save the image again.',
      });
    }
    if (layers.length > MAX_LAYERS)
      throw new CommandError(`${archive.title}: an image has ${String(layers.length)} layers`, {
        hint: `At most ${String(MAX_LAYERS)} are read; no engine unpacks more than 128.`,
      });
    return { config, layers, names: isTexts(names) ? names : [] };
  });
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function choose({ title }: Archive, images: readonly SavedImage[], ref: string | undefined): SavedImage {
  const names = images
    .map((image, index) => image.names[0] ?? `@${String(index)}`)
    .slice(0, 10)
    .join(', ');
  const [only] = images;
  if (only === undefined) throw new CommandError(`${title} contains no image`);
  if (ref === undefined) {
    if (images.length === 1) return only;
    throw new CommandError(`${title} contains ${String(images.length)} images`, { hint: `Choose one: ${names}.` });
  }
  const position = /^@(\d+)$/.exec(ref)?.[1];
  const wanted = fullName(ref);
  const found =
    position === undefined
      ? images.find((image) => image.names.some((name) => name === ref || fullName(name) === wanted))
      : images[Number(position)];
  if (found === undefined) throw new CommandError(`${title} has no image "${ref}"`, { hint: `It has: ${names}.` });
  return found;
}

/** The full name, with the parts that Docker omits; a text that is not a name is returned unchanged. */
function fullName(name: string): string {
  try {
    const { host, name: repository, reference } = parseRemoteImage(name);
    return `${host}/${repository}:${reference.kind === 'tag' ? reference.tag : reference.digest}`;
  } catch (error) {
    if (error instanceof CommandError) return name;
    throw error;
  }
}

/** The digest of the image's manifest or index in the OCI layout of the archive; null if there is none. */
async function findInLayout(archive: Archive, saved: SavedImage): Promise<Digest | null> {
  const bytes = await archive.read('index.json');
  const index = bytes === null ? null : readLinks(bytes);
  const names = new Set(saved.names.map(fullName));
  const searched = new Set<Digest>();
  for (const { digest, annotations } of index?.children ?? []) {
    const name: unknown = annotations?.[IMAGE_NAME];
    if (typeof name === 'string' && names.has(fullName(name))) return digest;
    if (searched.has(digest) || searched.size >= MAX_SEARCHED) continue;
    searched.add(digest);
    const manifest = await archive.read(`blobs/sha256/${hexOf(digest)}`);
    const config = manifest === null ? undefined : readLinks(manifest)?.config;
    if (config !== undefined && saved.config === `blobs/sha256/${hexOf(config.digest)}`) return digest;
  }
  return null;
}

async function makeImage(archive: Archive, saved: SavedImage): Promise<ImageSource> {
  const { title } = archive;
  const config = await archive.read(saved.config);
  if (config === null)
    throw new CommandError(`${title} lacks the config ${saved.config}`, {
      hint: 'The archive is incomplete: save the image again.',
    });
  const configDigest = sha256(config);
  const named = /([0-9a-f]{64})(?:\.json)?$/.exec(saved.config)?.[1];
  if (named !== undefined && named !== hexOf(configDigest)) {
    throw new CommandError(
      `${title}: the config ${saved.config} is damaged: its content has the digest ${configDigest}`,
      {
        hint: 'Save the image again.',
      },
    );
  }
  const diffIds = diffIdsOf(config, title);
  if (diffIds.length !== saved.layers.length) {
    throw new CommandError(
      `${title}: manifest.json names ${String(saved.layers.length)} layers, the config ${String(diffIds.length)}`,
      {
        hint: 'The archive is damaged: save the image again.',
      },
    );
  }
  const paths = new Map<Digest, string>();
  const hashed = new Map<string, Digest>();
  const layers: { mediaType: string; size: number; digest: Digest }[] = [];
  for (const [index, path] of saved.layers.entries()) {
    const size = archive.sizeOf(path);
    const diffId = diffIds[index];
    if (size === undefined || diffId === undefined) {
      throw new CommandError(`${title} lacks the layer ${path}`, {
        hint: 'The archive is incomplete: save the image again.',
      });
    }
    const packing = detectCompression(await archive.head(path, 6));
    if (packing === null)
      throw new CommandError(`${title}: the layer ${path} is compressed with bzip2 or xz`, {
        hint: 'Save the image again with a newer Docker.',
      });
    // Docker saves layers uncompressed: their diff ID is their digest, and is verified when they are sent.
    // The same file may be named many times; it is hashed once.
    const digest = packing === 'none' ? diffId : (hashed.get(path) ?? (await digestOf(archive, path)));
    if (packing !== 'none') hashed.set(path, digest);
    paths.set(digest, path);
    layers.push({ mediaType: LAYER_TYPE[packing], size, digest });
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
    config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.length, digest: configDigest },
    layers,
  };
  return {
    roots: [
      {
        bytes: new TextEncoder().encode(JSON.stringify(manifest, null, 3)),
        mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      },
    ],
    manifest: () => Promise.resolve(null),
    blob: (digest, { signal } = {}) => {
      const path = digest === configDigest ? saved.config : paths.get(digest);
      return Promise.resolve(path === undefined ? null : archive.open(path, signal));
    },
    referrers: () => Promise.resolve([]),
    close: () => archive.close(),
  };
}

const LAYER_TYPE = {
  none: MEDIA_TYPES.dockerLayerTar,
  gzip: MEDIA_TYPES.dockerLayerGzip,
  zstd: MEDIA_TYPES.dockerLayerZstd,
} as const;

function diffIdsOf(config: Uint8Array, title: string): readonly Digest[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(config));
  } catch (cause) {
    throw new CommandError(`${title}: the image's config is not JSON`, { hint: 'Save the image again.', cause });
  }
  const ids = objectOf(objectOf(value).rootfs).diff_ids;
  return (isTexts(ids) ? ids : []).map((text) => {
    const digest = parseDigest(text);
    if (digest === null)
      throw new CommandError(
        `${title}: the image's config names a layer by ${JSON.stringify(text)}, which is not a digest`,
      );
    return digest;
  });
}

async function digestOf(archive: Archive, path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of archive.open(path)?.chunks ?? []) hash.update(chunk);
  return asDigest(hash.digest('hex'));
}

function sha256(bytes: Uint8Array): Digest {
  return asDigest(createHash('sha256').update(bytes).digest('hex'));
}

function asDigest(hex: string): Digest {
  const digest = parseDigest(`sha256:${hex}`);
  if (digest === null) throw new TypeError(`${hex} is not a sha256 digest`);
  return digest;
}
