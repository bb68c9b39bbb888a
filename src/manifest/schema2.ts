/**
 * Docker image manifest v2, schema 2, and manifest list, made from OCI ones: the same blobs under Docker's media types. The bytes are those that skopeo writes when it
 * converts (`--format v2s2`), so the digests are the same.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../registry/media-type.ts';
import type { Reason } from '../registry/errors.ts';
import type { Platform } from '../registry/platform.ts';
import type { Manifest } from './image.ts';
import type { ImageManifest } from './read.ts';
import { sha256Of } from './signing/sha256.ts';

/** A manifest, or why there is none. */
export type Schema2Result =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly explanation: string };

/** OCI layer type → Docker's. */
const LAYER_TYPES: Readonly<Record<string, string>> = {
  [MEDIA_TYPES.ociLayerGzip]: MEDIA_TYPES.dockerLayerGzip,
  [MEDIA_TYPES.ociLayerTar]: MEDIA_TYPES.dockerLayerTar,
  [MEDIA_TYPES.ociLayerNondistributableGzip]: MEDIA_TYPES.dockerLayerForeignGzip,
  [MEDIA_TYPES.ociLayerNondistributableTar]: MEDIA_TYPES.dockerLayerForeign,
  [MEDIA_TYPES.dockerLayerGzip]: MEDIA_TYPES.dockerLayerGzip,
  [MEDIA_TYPES.dockerLayerTar]: MEDIA_TYPES.dockerLayerTar,
  [MEDIA_TYPES.dockerLayerForeignGzip]: MEDIA_TYPES.dockerLayerForeignGzip,
  [MEDIA_TYPES.dockerLayerForeign]: MEDIA_TYPES.dockerLayerForeign,
};

const ZSTD: ReadonlySet<string> = new Set([
  MEDIA_TYPES.ociLayerZstd,
  MEDIA_TYPES.ociLayerNondistributableZstd,
  MEDIA_TYPES.dockerLayerZstd,
]);

const FOREIGN: ReadonlySet<string> = new Set([
  MEDIA_TYPES.ociLayerNondistributableGzip,
  MEDIA_TYPES.ociLayerNondistributableTar,
  MEDIA_TYPES.ociLayerNondistributableZstd,
  MEDIA_TYPES.dockerLayerForeignGzip,
  MEDIA_TYPES.dockerLayerForeign,
]);

const CONFIG_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociConfig, MEDIA_TYPES.dockerConfig]);

/** Whether a layer is packed with zstd. */
export function isZstd({ mediaType }: Descriptor): boolean {
  return ZSTD.has(mediaType);
}

/** Whether a layer has its content elsewhere. */
export function isForeign({ mediaType, urls }: Descriptor): boolean {
  return FOREIGN.has(mediaType) || (urls !== undefined && urls.length > 0);
}

/** Whether a manifest is that of a container image: its config is one, and so is every layer. An attestation has such a config too, but other layers. */
export function isImage({ config, layers }: ImageManifest): boolean {
  return (
    CONFIG_TYPES.has(config.mediaType) &&
    layers.every(({ mediaType }) => Object.hasOwn(LAYER_TYPES, mediaType) || ZSTD.has(mediaType))
  );
}

/** Makes a schema 2 of an image; `layers` may be other packings of the manifest's own. */
export function buildSchema2(config: Descriptor, layers: readonly Descriptor[]): Schema2Result {
  const packed = layers.find(isZstd);
  if (packed !== undefined) {
    return {
      kind: 'refused',
      reason: 'schema2-zstd-layers',
      explanation: `the layer ${packed.digest} is packed with zstd, which Docker schema 2 does not provide for`,
    };
  }
  const strange = layers.find(({ mediaType }) => !Object.hasOwn(LAYER_TYPES, mediaType));
  if (strange !== undefined || !CONFIG_TYPES.has(config.mediaType)) {
    return {
      kind: 'refused',
      reason: 'schema2-not-an-image',
      explanation: `${strange?.mediaType ?? config.mediaType} is no part of a container image`,
    };
  }
  return {
    kind: 'manifest',
    manifest: manifestOf('docker-schema2', {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.size, digest: config.digest },
      layers: layers.map(({ mediaType, size, digest, urls }) => ({
        mediaType: LAYER_TYPES[mediaType],
        size,
        digest,
        ...(urls !== undefined && urls.length > 0 ? { urls } : {}),
      })),
    }),
  };
}

/** Makes a manifest list of schema 2 manifests, in that order. */
export function buildDockerList(
  children: readonly { readonly manifest: Manifest; readonly platform: Platform }[],
): Manifest {
  return manifestOf('docker-list', {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['docker-list'],
    manifests: children.map(
      ({ manifest: { mediaType, bytes, digest }, platform: { architecture, os, variant, ...more } }) => ({
        mediaType,
        size: bytes.length,
        digest,
        platform: {
          architecture,
          os,
          ...(more['os.version'] === undefined ? {} : { 'os.version': more['os.version'] }),
          ...(more['os.features'] === undefined ? {} : { 'os.features': more['os.features'] }),
          ...(variant === undefined ? {} : { variant }),
          ...featuresOf(more),
        },
      }),
    ),
  });
}

/** `features` is Docker's own (CPU features); OCI reserves the name. */
function featuresOf(more: object): { features?: readonly string[] } {
  const { features } = more as { features?: unknown };
  return Array.isArray(features) ? { features: features as readonly string[] } : {};
}

/** Go's `json.Marshal`, which skopeo uses: compact, with `<`, `>`, `&`, U+2028 and U+2029 escaped. */
function manifestOf(form: 'docker-schema2' | 'docker-list', value: object): Manifest {
  const text = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const bytes = new TextEncoder().encode(text);
  return { form, mediaType: MEDIA_TYPE_OF_FORM[form], digest: sha256Of(bytes), bytes };
}
