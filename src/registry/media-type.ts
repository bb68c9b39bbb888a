/**
 * The manifest formats: each is one *form* of an image. In order of preference where a client accepts several equally.
 */
export const FORMS = ['oci-index', 'docker-list', 'oci-manifest', 'docker-schema2', 'docker-schema1'] as const;

/** One manifest format. */
export type Form = (typeof FORMS)[number];

/** The media type that a form is served with. Schema 1 is always signed, so always `prettyjws`. */
export const MEDIA_TYPE_OF_FORM = {
  'oci-index': 'application/vnd.oci.image.index.v1+json',
  'docker-list': 'application/vnd.docker.distribution.manifest.list.v2+json',
  'oci-manifest': 'application/vnd.oci.image.manifest.v1+json',
  'docker-schema2': 'application/vnd.docker.distribution.manifest.v2+json',
  'docker-schema1': 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const satisfies Record<Form, string>;

/** Another media type of signed schema 1, used by some registries and `dir:` folders. */
export const SCHEMA1_PLAIN = 'application/vnd.docker.distribution.manifest.v1+json';

/** The name of each form, for people. */
export const FORM_TITLE = {
  'oci-index': 'OCI image index',
  'docker-list': 'Docker manifest list',
  'oci-manifest': 'OCI image manifest',
  'docker-schema2': 'Docker schema 2',
  'docker-schema1': 'Docker schema 1',
} as const satisfies Record<Form, string>;

/** Whether the form lists other manifests, one for each platform. */
export function isListForm(form: Form): form is 'oci-index' | 'docker-list' {
  return form === 'oci-index' || form === 'docker-list';
}

const FORM_OF_MEDIA_TYPE: ReadonlyMap<string, Form> = new Map([
  ...FORMS.map((form) => [MEDIA_TYPE_OF_FORM[form], form] as const),
  [SCHEMA1_PLAIN, 'docker-schema1' as const],
]);

/** The form of a manifest's media type; null for any other type. Pass the type in lower case without parameters. */
export function formOfMediaType(mediaType: string): Form | null {
  return FORM_OF_MEDIA_TYPE.get(mediaType) ?? null;
}

/** Media types of configs and layers (OCI image spec, media-types.md; Docker image manifest v2 schema 2). */
export const MEDIA_TYPES = {
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerTar: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerLayerForeignGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  dockerLayerForeign: 'application/vnd.docker.image.rootfs.foreign.diff.tar',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayerTar: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  ociLayerNondistributableTar: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
  ociLayerNondistributableGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ociLayerNondistributableZstd: 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  octetStream: 'application/octet-stream',
  json: 'application/json',
} as const;

/**
 * Layer types in a schema 2 that its specification does not have, and BuildKit writes: Docker's name for zstd, and
 * OCI's names.
 */
export type NonstandardLayers = 'docker-zstd' | 'oci-in-docker';
