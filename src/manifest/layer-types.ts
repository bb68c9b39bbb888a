/** Media types of image layers and configs, in Docker's and in OCI's manifests. */
import type { Descriptor } from '../registry/descriptor.ts';
import { MEDIA_TYPES, type NonstandardLayers } from '../registry/media-type.ts';
import type { Manifest } from './image.ts';
import type { ImageManifest } from './read.ts';

interface LayerType {
  /** Null: Docker has none. */
  readonly docker: string | null;
  readonly oci: string;
  readonly isZstd: boolean;
  /** Its content may be elsewhere (`urls`). */
  readonly isForeign: boolean;
}

const LAYER_TYPES: readonly LayerType[] = [
  { docker: MEDIA_TYPES.dockerLayerGzip, oci: MEDIA_TYPES.ociLayerGzip, isZstd: false, isForeign: false },
  { docker: MEDIA_TYPES.dockerLayerTar, oci: MEDIA_TYPES.ociLayerTar, isZstd: false, isForeign: false },
  // BuildKit writes it; Docker's specification (image manifest v2 schema 2) does not have it.
  { docker: MEDIA_TYPES.dockerLayerZstd, oci: MEDIA_TYPES.ociLayerZstd, isZstd: true, isForeign: false },
  {
    docker: MEDIA_TYPES.dockerLayerForeignGzip,
    oci: MEDIA_TYPES.ociLayerNondistributableGzip,
    isZstd: false,
    isForeign: true,
  },
  {
    docker: MEDIA_TYPES.dockerLayerForeign,
    oci: MEDIA_TYPES.ociLayerNondistributableTar,
    isZstd: false,
    isForeign: true,
  },
  { docker: null, oci: MEDIA_TYPES.ociLayerNondistributableZstd, isZstd: true, isForeign: true },
];

const BY_NAME: ReadonlyMap<string, LayerType> = new Map(
  LAYER_TYPES.flatMap((type) => [
    [type.oci, type] as const,
    ...(type.docker === null ? [] : [[type.docker, type] as const]),
  ]),
);

const CONFIG_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociConfig, MEDIA_TYPES.dockerConfig]);

/** What Docker calls a layer of this type in a schema 2; null where its specification has no name for it. */
export function dockerTypeOf(mediaType: string): string | null {
  const type = BY_NAME.get(mediaType);
  return type === undefined || type.isZstd ? null : type.docker;
}

/** What OCI calls a layer of this type; null if it is not a layer type of images. */
export function ociTypeOf(mediaType: string): string | null {
  return BY_NAME.get(mediaType)?.oci ?? null;
}

/** Whether a config is that of a container image. */
export function isImageConfig({ mediaType }: Descriptor): boolean {
  return CONFIG_TYPES.has(mediaType);
}

/** Whether a layer has zstd compression. */
export function isZstd({ mediaType }: Descriptor): boolean {
  return BY_NAME.get(mediaType)?.isZstd ?? false;
}

/** Whether a layer may have its content elsewhere. */
export function isForeign({ mediaType, urls }: Descriptor): boolean {
  return (BY_NAME.get(mediaType)?.isForeign ?? false) || (urls !== undefined && urls.length > 0);
}

/**
 * Whether a manifest is of a container image: its config and all layers have image types. An attestation has an image
 * config, but other layers.
 */
export function isImage({ config, layers }: ImageManifest): boolean {
  return isImageConfig(config) && layers.every(({ mediaType }) => BY_NAME.has(mediaType));
}

/** An image in one of its forms. */
export interface ImageForm {
  readonly manifest: Manifest;
  readonly image: ImageManifest;
}

/** What clients need to know about the layers of some images. */
export interface LayerMarks {
  /** Set if a layer has zstd compression. */
  readonly zstd?: true;
  /** Set if a layer type is not in the specification of the manifest that names it. */
  readonly nonstandard?: readonly NonstandardLayers[];
}

/** The marks of images. Artifacts have none: nobody unpacks them into a file system. */
export function marksOf(images: readonly ImageForm[]): LayerMarks {
  const marks = { zstd: false, docker: false, oci: false };
  for (const { manifest, image } of images) {
    if (!isImage(image)) continue;
    for (const { mediaType } of image.layers) {
      const type = BY_NAME.get(mediaType);
      if (type?.isZstd === true) marks.zstd = true;
      if (manifest.form !== 'docker-schema2') continue;
      if (mediaType === MEDIA_TYPES.dockerLayerZstd) marks.docker = true;
      if (mediaType === type?.oci) marks.oci = true;
    }
  }
  const nonstandard = [
    ...(marks.docker ? (['docker-zstd'] as const) : []),
    ...(marks.oci ? (['oci-in-docker'] as const) : []),
  ];
  return { ...(marks.zstd && { zstd: true }), ...(nonstandard.length > 0 && { nonstandard }) };
}

/** Whether an image is a schema 2 whose layer types are all in its specification. */
export function isCleanSchema2(one: ImageForm): boolean {
  return one.manifest.form === 'docker-schema2' && marksOf([one]).nonstandard === undefined;
}
