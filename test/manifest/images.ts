/**
 * Small images of every form, whole enough to be derived from: configs, manifests and lists that name each other by
 * right digests.
 */
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { keyFromRandom } from '../../src/manifest/signing/key.ts';
import type { DeriveOptions, ImageContent, Manifest, UnpackedLayer } from '../../src/manifest/image.ts';
import { readManifest } from '../../src/manifest/read.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import type { Digest } from '../../src/registry/digest.ts';
import { type Form, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { parseRepositoryName, parseTag } from '../../src/registry/name.ts';
import type { Platform } from '../../src/registry/platform.ts';

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** A layer named by what is said to be in it; its bytes are nowhere. */
export const layer = (
  content: string,
  mediaType: string = MEDIA_TYPES.ociLayerGzip,
  more: Partial<Descriptor> = {},
): Descriptor => ({
  mediaType,
  digest: sha256Of(encode(content)),
  size: content.length,
  ...more,
});

/** A config of as many real entries as layers, with an empty one on top. */
export const config = (layers: number, more: Readonly<Record<string, unknown>> = {}): Uint8Array =>
  encode({
    architecture: 'amd64',
    os: 'linux',
    created: '2026-11-24T00:08:56.123456789Z',
    config: { Cmd: ['sh'], Labels: { html: '<a&b>' } },
    history: [
      ...Array.from({ length: layers }, (_, index) => ({
        created: `2026-11-24T00:00:0${String(index % 10)}Z`,
        created_by: `ADD ${String(index)} <file>`,
        comment: 'c',
      })),
      { created: '2026-11-24T00:08:56.5Z', created_by: 'CMD ["sh"]', author: 'me', empty_layer: true },
    ],
    rootfs: {
      type: 'layers',
      diff_ids: Array.from({ length: layers }, (_, index) => sha256Of(encode(`diff ${String(index)}`))),
    },
    ...more,
  });

/** An image: its manifest and its config. */
export interface TestImage {
  readonly manifest: Manifest;
  readonly config: Uint8Array;
}

/** An image of OCI or Docker kind around a config and layers. */
export function image(
  form: 'oci-manifest' | 'docker-schema2',
  layers: readonly Descriptor[],
  bytes: Uint8Array = config(layers.length),
  configType?: string,
): TestImage {
  const oci = form === 'oci-manifest';
  const manifest = encode({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM[form],
    config: {
      mediaType: configType ?? (oci ? MEDIA_TYPES.ociConfig : MEDIA_TYPES.dockerConfig),
      digest: sha256Of(bytes),
      size: bytes.length,
    },
    layers,
  });
  return { manifest: readManifest(manifest), config: bytes };
}

/** A list of manifests, each with what its descriptor says beside. */
export function list(
  form: 'oci-index' | 'docker-list',
  children: readonly (readonly [Manifest, { platform?: Platform; annotations?: Record<string, string> }?])[],
): Manifest {
  return readManifest(
    encode({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE_OF_FORM[form],
      manifests: children.map(([manifest, more]) => ({
        mediaType: manifest.mediaType,
        digest: manifest.digest,
        size: manifest.bytes.length,
        ...more,
      })),
    }),
  );
}

/** The content of a tag, of roots and all that they name. */
export function content(
  roots: readonly Manifest[],
  images: readonly TestImage[],
  more: {
    readonly children?: readonly Manifest[];
    readonly unpacked?: ReadonlyMap<Digest, UnpackedLayer>;
    readonly recompressed?: ReadonlyMap<Digest, Descriptor>;
    readonly held?: ReadonlySet<Digest>;
  } = {},
): ImageContent {
  return {
    roots,
    children: new Map(
      [...images.map(({ manifest }) => manifest), ...(more.children ?? [])].map((manifest) => [
        manifest.digest,
        manifest,
      ]),
    ),
    configs: new Map(images.map((one) => [sha256Of(one.config), one.config])),
    unpacked: more.unpacked ?? new Map<Digest, UnpackedLayer>(),
    recompressed: more.recompressed ?? new Map<Digest, Descriptor>(),
    held: more.held ?? new Set<Digest>(),
  };
}

const key = keyFromRandom(new Uint8Array(32).fill(7));
const name = parseRepositoryName('library/app');
const tag = parseTag('1.0');
if (key === null || name === null || tag === null) throw new Error('bad constants');

/** How the tests derive. */
export const options: DeriveOptions = { name, tag, signer: createSigner(key), mode: 'strict' };

/** The text of a manifest, parsed. */
export const parsed = (manifest: { readonly bytes: Uint8Array } | undefined): Readonly<Record<string, unknown>> =>
  JSON.parse(new TextDecoder().decode(manifest?.bytes)) as Record<string, unknown>;

/** A platform's descriptor member. */
export const on = (os: string, architecture: string, more: Partial<Platform> = {}): { platform: Platform } => ({
  platform: { os, architecture, ...more },
});

/** All forms' names, for rows. */
export type FormName = Form;
