/**
 * OCI image manifest and index, made from Docker ones: the same blobs with OCI media types, for clients that accept
 * nothing else. The config is the same blob, so the image ID is the same. (skopeo writes a new config when it
 * converts.)
 */
import type { Descriptor } from '../registry/descriptor.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../registry/media-type.ts';
import type { Platform } from '../registry/platform.ts';
import { goJson } from './json/go-object.ts';
import type { Manifest } from './image.ts';
import { isImage, ociTypeOf } from './layer-types.ts';
import type { ImageManifest } from './read.ts';
import { sha256Of } from './signing/sha256.ts';

/** Makes an OCI manifest of an image; null if it is no image. */
export function buildOciManifest(image: ImageManifest): Manifest | null {
  if (!isImage(image)) return null;
  const { config, layers } = image;
  return manifestOf('oci-manifest', {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'],
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: config.digest, size: config.size },
    layers: layers.map(({ mediaType, digest, size, urls }: Descriptor) => ({
      mediaType: ociTypeOf(mediaType),
      digest,
      size,
      ...(urls !== undefined && urls.length > 0 ? { urls } : {}),
    })),
  });
}

/** Makes an index of OCI manifests, in that order. */
export function buildOciIndex(
  children: readonly { readonly manifest: Manifest; readonly platform: Platform }[],
): Manifest {
  return manifestOf('oci-index', {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-index'],
    manifests: children.map(({ manifest: { mediaType, bytes, digest }, platform }) => ({
      mediaType,
      digest,
      size: bytes.length,
      platform: {
        architecture: platform.architecture,
        os: platform.os,
        ...(platform['os.version'] === undefined ? {} : { 'os.version': platform['os.version'] }),
        ...(platform['os.features'] === undefined ? {} : { 'os.features': platform['os.features'] }),
        ...(platform.variant === undefined ? {} : { variant: platform.variant }),
      },
    })),
  });
}

function manifestOf(form: 'oci-manifest' | 'oci-index', value: object): Manifest {
  const bytes = goJson(value);
  return { form, mediaType: MEDIA_TYPE_OF_FORM[form], digest: sha256Of(bytes), bytes };
}
