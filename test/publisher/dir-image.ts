/** Images in folders as `skopeo copy … dir:FOLDER` writes them. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { type Digest, hexOf } from '../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import type { Platform } from '../../src/registry/platform.ts';
import { digestOf } from './gc-bucket.ts';

/** What was written. */
export interface DirImage {
  readonly folder: string;
  /** For `gantry publish`. */
  readonly source: string;
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly config: Digest;
  readonly layers: readonly Digest[];
}

/** What an image is to be like. */
export interface ImageWishes {
  /** Contents of the layers before they are packed; random ones if a number of them is given. */
  readonly layers?: readonly Uint8Array[] | number;
  readonly form?: 'docker-schema2' | 'oci-manifest';
  readonly platform?: Platform;
  /** An entry of the history without a layer. */
  readonly emptyEntry?: boolean;
}

/** Writes an image into the folder, which is made. */
export async function writeDirImage(folder: string, wishes: ImageWishes = {}): Promise<DirImage> {
  const {
    layers = 2,
    form = 'docker-schema2',
    platform = { os: 'linux', architecture: 'amd64' },
    emptyEntry = true,
  } = wishes;
  await mkdir(folder, { recursive: true });
  const contents =
    typeof layers === 'number' ? Array.from({ length: layers }, () => new Uint8Array(randomBytes(4096))) : layers;
  const packed = contents.map((bytes) => new Uint8Array(gzipSync(bytes)));
  const created = '2026-01-01T00:00:00Z';
  const config = encode({
    ...platform,
    config: {},
    created,
    history: [
      ...contents.map((_, index) => ({ created, created_by: `layer ${String(index)}` })),
      ...(emptyEntry ? [{ created, created_by: 'CMD', empty_layer: true }] : []),
    ],
    rootfs: { type: 'layers', diff_ids: contents.map(digestOf) },
  });
  const oci = form === 'oci-manifest';
  const manifest = encode({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM[form],
    config: {
      mediaType: oci ? MEDIA_TYPES.ociConfig : MEDIA_TYPES.dockerConfig,
      size: config.length,
      digest: digestOf(config),
    },
    layers: packed.map((bytes) => ({
      mediaType: oci ? MEDIA_TYPES.ociLayerGzip : MEDIA_TYPES.dockerLayerGzip,
      size: bytes.length,
      digest: digestOf(bytes),
    })),
  });
  for (const blob of [config, ...packed]) await writeFile(join(folder, hexOf(digestOf(blob))), blob);
  await writeFile(join(folder, 'manifest.json'), manifest);
  return {
    folder,
    source: `dir:${folder}`,
    manifest: { mediaType: MEDIA_TYPE_OF_FORM[form], digest: digestOf(manifest), size: manifest.length, platform },
    manifestBytes: manifest,
    config: digestOf(config),
    layers: packed.map(digestOf),
  };
}

/** Writes a list of images, one a platform, into the folder. Gives what to publish and its digest. */
export async function writeDirList(
  folder: string,
  platforms: readonly Platform[],
  form: 'docker-list' | 'oci-index' = 'docker-list',
): Promise<{ source: string; digest: Digest; images: readonly DirImage[] }> {
  const images: DirImage[] = [];
  for (const platform of platforms) {
    const image = await writeDirImage(folder, {
      platform,
      form: form === 'docker-list' ? 'docker-schema2' : 'oci-manifest',
    });
    await writeFile(join(folder, `${hexOf(image.manifest.digest)}.manifest.json`), image.manifestBytes);
    images.push(image);
  }
  const list = encode({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM[form],
    manifests: images.map(({ manifest }) => manifest),
  });
  await writeFile(join(folder, 'manifest.json'), list);
  return { source: `dir:${folder}`, digest: digestOf(list), images };
}

function encode(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
