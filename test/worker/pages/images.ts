/** Images as pages show them: with layers of known sizes, and a config. */
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../../src/registry/media-type.ts';
import type { Platform } from '../../../src/registry/platform.ts';
import { bytesOf, hash, seedBlob, type SeededForm, seedManifest } from '../seed.ts';

/** A layer; its digest is made of one digit. */
export interface SeededLayer {
  readonly digit: string;
  readonly size: number;
}

const LAYERS: readonly SeededLayer[] = [
  { digit: '1', size: 750 },
  { digit: '2', size: 250 },
];

/** The digest of a layer. */
export function layerDigest(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}

/** An image of two layers with a config: its form, and its config in the bucket. */
export async function seedImage(
  bucket: R2Bucket,
  config: unknown,
  layers: readonly SeededLayer[] = LAYERS,
): Promise<SeededForm> {
  const configBytes = bytesOf(JSON.stringify(config));
  const digest = await seedBlob(bucket, configBytes);
  const bytes = bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: MEDIA_TYPES.ociConfig, digest, size: configBytes.length },
      layers: layers.map(({ digit, size }) => ({
        mediaType: MEDIA_TYPES.ociLayerGzip,
        digest: layerDigest(digit),
        size,
      })),
    }),
  );
  return { form: 'oci-manifest', bytes, digest: await hash(bytes) };
}

/** An image of a list. */
export interface ListedImage {
  readonly image: SeededForm;
  readonly platform: Platform;
}

/** An index of images, which are stored by their digests. `others`: further entries. */
export async function indexOf(
  bucket: R2Bucket,
  name: string,
  images: readonly ListedImage[],
  others: readonly unknown[] = [],
): Promise<SeededForm> {
  for (const { image } of images) await seedManifest(bucket, name, image);
  const manifests = images.map(({ image: { form, bytes, digest }, platform }) => ({
    mediaType: MEDIA_TYPE_OF_FORM[form],
    digest,
    size: bytes.length,
    platform,
  }));
  const bytes = bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM['oci-index'],
      manifests: [...manifests, ...others],
    }),
  );
  return { form: 'oci-index', bytes, digest: await hash(bytes) };
}

/** The schema 1 of an image for a platform: newest layer first, as engines read it. */
export async function schema1For(
  platform: Platform,
  steps: readonly { readonly digit: string; readonly command: string }[],
  config: unknown,
): Promise<SeededForm> {
  const newestFirst = [...steps].reverse();
  const bytes = bytesOf(
    JSON.stringify({
      schemaVersion: 1,
      fsLayers: newestFirst.map(({ digit }) => ({ blobSum: layerDigest(digit) })),
      history: newestFirst.map(({ command }, at) => ({
        v1Compatibility: JSON.stringify({
          id: String(at),
          ...(at === 0 && { ...platform, config }),
          container_config: { Cmd: [command] },
        }),
      })),
    }),
  );
  return { form: 'docker-schema1', bytes, digest: await hash(bytes), derived: true, platform };
}
