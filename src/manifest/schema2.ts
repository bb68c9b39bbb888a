/**
 * Docker image manifest v2, schema 2, and manifest list, made from OCI ones: the same blobs with Docker media types.
 * The bytes, and so the digests, are those of skopeo (`--format v2s2`).
 */
import type { Descriptor } from '../registry/descriptor.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../registry/media-type.ts';
import type { Reason } from '../registry/errors.ts';
import type { Platform } from '../registry/platform.ts';
import type { Manifest } from './image.ts';
import { goJson } from './json/go-object.ts';
import { dockerTypeOf, isImageConfig, isZstd } from './layer-types.ts';
import { sha256Of } from './signing/sha256.ts';

/** A manifest, or why there is none. */
export type Schema2Result =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly explanation: string };

/** Makes a schema 2 of an image; `layers` may be other compressions of the manifest's own. */
export function buildSchema2(config: Descriptor, layers: readonly Descriptor[]): Schema2Result {
  const packed = layers.find(isZstd);
  if (packed !== undefined) {
    return {
      kind: 'refused',
      reason: 'schema2-zstd-layers',
      explanation: `the layer ${packed.digest} is packed with zstd, which Docker schema 2 does not provide for`,
    };
  }
  const strange = layers.find(({ mediaType }) => dockerTypeOf(mediaType) === null);
  if (strange !== undefined || !isImageConfig(config)) {
    return {
      kind: 'refused',
      reason: 'schema2-not-an-image',
      explanation: `${strange?.mediaType ?? config.mediaType} is not a media type of a container image`,
    };
  }
  return {
    kind: 'manifest',
    manifest: manifestOf('docker-schema2', {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.size, digest: config.digest },
      layers: layers.map(({ mediaType, size, digest, urls }) => ({
        mediaType: dockerTypeOf(mediaType),
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
        },
      }),
    ),
  });
}

function manifestOf(form: 'docker-schema2' | 'docker-list', value: object): Manifest {
  const bytes = goJson(value);
  return { form, mediaType: MEDIA_TYPE_OF_FORM[form], digest: sha256Of(bytes), bytes };
}
