/** The help texts of the reason table: what each reason means and what to do. A file of its own, since only pages and documents show them and no pull has to load them. */
import type { Reason } from './errors.ts';

/** A help page. */
export interface Help {
  readonly title: string;
  /** What it means and what to do. Commands stand in backquotes. */
  readonly paragraphs: readonly [string, ...string[]];
}

const OLD_ENGINE =
  'Docker engines before 1.10 (February 2016) understand only schema 1 manifests. They pull by tag and send no Accept header, so a client without one is taken for such an engine.';
const WAYS_OUT = 'Use Docker 1.10 or newer, podman, skopeo or containerd, which read the forms that this tag has.';

const HELP = {
  'name-unknown': {
    title: 'Repository unknown',
    paragraphs: [
      'Nothing was published under this name, or you may not see it. Check the spelling; a single-word name such as `hello` is asked for as `library/hello` by Docker when this registry is a mirror of Docker Hub.',
      'Publish an image with `gantry publish SOURCE NAME:TAG`; `gantry ls` shows what there is.',
    ],
  },
  'tag-unknown': {
    title: 'Tag unknown',
    paragraphs: [
      'The repository is there, the tag is not. `gantry ls NAME`, or `GET /v2/<name>/tags/list`, shows the tags there are.',
    ],
  },
  'tag-invalid': {
    title: 'Not a tag',
    paragraphs: [
      'A tag has at most 128 letters, digits, `_`, `.` and `-`, and begins with a letter, digit or `_` (OCI distribution spec).',
    ],
  },
  'manifest-unknown': {
    title: 'Manifest unknown',
    paragraphs: [
      'No manifest with this digest was published in this repository, or it was removed. A digest is never answered with another manifest. Manifests that were derived (schema 1 and others) can be pulled by their digests too; `gantry inspect NAME:TAG` lists them all.',
    ],
  },
  'schema1-not-published': {
    title: 'No schema 1 published',
    paragraphs: [
      `${OLD_ENGINE} This tag was published without one.`,
      WAYS_OUT,
      'Who publishes the image can publish it again: `gantry publish` derives schema 1 wherever that is possible.',
    ],
  },
  'schema1-foreign-layers': {
    title: 'No schema 1: foreign layers',
    paragraphs: [
      `${OLD_ENGINE} A foreign layer is fetched from an address of its own (\`urls\`), as with Windows base images; schema 1 has no place for it, so an old engine would ask here for a layer that is not here.`,
      WAYS_OUT,
    ],
  },
  'schema1-zstd-layers': {
    title: 'No schema 1: zstd layers',
    paragraphs: [
      `${OLD_ENGINE} They unpack gzip, bzip2, xz and plain tar, never zstd.`,
      'Publish the image again with `gantry publish --recompress`: the derived forms then use gzip copies of the layers, the published form keeps its own.',
      WAYS_OUT,
    ],
  },
  'schema1-no-platform': {
    title: 'No schema 1 for the platform',
    paragraphs: [
      `${OLD_ENGINE} A schema 1 manifest is for one platform: that which the engine's User-Agent names, else linux/amd64. The tag is a list of images for several platforms and has none for that one.`,
      'See `gantry inspect NAME:TAG` for the platforms there are.',
    ],
  },
  'schema1-not-an-image': {
    title: 'No schema 1: not an image',
    paragraphs: [
      'The tag holds something other than a container image (a Helm chart, a signature, an attestation …). Docker engines cannot run it; use the tool that made it.',
    ],
  },
  'schema1-no-history': {
    title: 'No schema 1: no history',
    paragraphs: [
      `${OLD_ENGINE} Schema 1 is made from the history of the image config, one entry a layer; an OCI config may legally lack it, and then there is nothing to convert.`,
      'Build the image with a tool that writes history (docker, buildah and BuildKit do).',
      WAYS_OUT,
    ],
  },
  'schema1-history-mismatch': {
    title: 'No schema 1: history and layers differ',
    paragraphs: [
      `${OLD_ENGINE} Each entry of the config's history that is not marked empty stands for one layer. Here there are more or fewer of them than layers, so a schema 1 would lose layers or name some that do not exist.`,
      WAYS_OUT,
    ],
  },
  'schema1-config-invalid': {
    title: 'No schema 1: config invalid',
    paragraphs: [
      `${OLD_ENGINE} The image config is not what the image specification describes, so it was not converted. \`gantry inspect NAME:TAG\` says what is wrong with it.`,
      WAYS_OUT,
    ],
  },
  'schema1-config-ambiguous': {
    title: 'No schema 1: config ambiguous',
    paragraphs: [
      `${OLD_ENGINE} The config repeats a member, or writes a time in a way that only some programs read, so converters would not agree on the result. \`gantry convert --compat\` shows what docker/distribution would make of it.`,
      WAYS_OUT,
    ],
  },
  'schema1-base-has-parent': {
    title: 'No schema 1: parent in the base layer',
    paragraphs: [
      `${OLD_ENGINE} The lowest layer of a schema 1 image may not have a parent; this config brings one of its own, and engines would say "invalid parent ID in the base layer".`,
      WAYS_OUT,
    ],
  },
  'schema1-layer-digest': {
    title: 'No schema 1: layer digest',
    paragraphs: [`${OLD_ENGINE} A layer's digest must be sha256, sha384 or sha512 in lower case.`, WAYS_OUT],
  },
  'schema2-zstd-layers': {
    title: 'No schema 2: zstd layers',
    paragraphs: [
      'The image is published in OCI form with zstd layers. A client that asks only for Docker types is of an age that cannot unpack zstd.',
      'Publish the image again with `gantry publish --recompress`, or use a client that reads OCI images.',
    ],
  },
  'schema2-not-an-image': {
    title: 'No schema 2: not an image',
    paragraphs: [
      'The tag holds something other than a container image (a Helm chart, a signature, an attestation …). Ask for it with OCI types, using the tool that made it.',
    ],
  },
  'schema2-layers-unreadable': {
    title: 'No schema 2: layers unreadable',
    paragraphs: [
      'Schema 2 names each layer by the digest of its unpacked content, so the layers of a schema 1 image must be unpacked once. One of them is missing or damaged, or packed in a way that is not read (bzip2, xz).',
    ],
  },
  'schema2-history-mismatch': {
    title: 'No schema 2: history damaged',
    paragraphs: [
      'The `v1Compatibility` texts of the schema 1 manifest are not JSON objects, or do not fit its layers, so no image config can be rebuilt from them.',
    ],
  },
  'zstd-layers': {
    title: 'zstd layers',
    paragraphs: [
      'Docker before 23.0 and containerd before 1.5 accept OCI manifests, but cannot unpack layers that are packed with zstd: the pull would end with "invalid tar header". Which client it is, its User-Agent tells.',
      'Publish the image again with `gantry publish --recompress`: such clients then get a derived form around gzip copies of the layers, all others the published one.',
      'Or use Docker 23.0, containerd 1.5 or newer. By digest every client gets the bytes that it asks for.',
    ],
  },
  'form-not-published': {
    title: 'No acceptable form',
    paragraphs: [
      'The tag exists, but in none of the manifest formats that the client asked for. The answer lists those that are available.',
      'Add one of them to `Accept`, or use a client that does.',
    ],
  },
  'manifest-too-new': {
    title: 'Newer manifest asked by digest',
    paragraphs: [
      'A digest names exact bytes, so nothing is converted for it. The client says, by its Accept header or its age, that it cannot read this format.',
      'Pull by tag instead, or by the digest of the schema 1 form, which `gantry inspect NAME:TAG` shows.',
    ],
  },
  'blob-unknown': {
    title: 'Blob unknown',
    paragraphs: [
      'No layer or config with this digest is there. If a manifest names it, the image is incomplete: `gantry verify NAME` finds such images. Foreign layers are not kept here; clients fetch them from the address in the manifest.',
    ],
  },
  'name-invalid': {
    title: 'Repository name invalid',
    paragraphs: [
      'A name has lower-case letters and digits, single `.`, one or two `_` or any number of `-` between them, `/` between components, and at most 255 characters (OCI distribution spec).',
    ],
  },
  'digest-invalid': {
    title: 'Digest invalid',
    paragraphs: ['A digest is `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits.'],
  },
  'page-size-invalid': {
    title: 'Page size invalid',
    paragraphs: ['`n` says how many entries a page has. Leave it out to get the whole list.'],
  },
  'query-invalid': {
    title: 'Query invalid',
    paragraphs: ['A parameter of the query is repeated, too long or not decodable.'],
  },
  'method-not-allowed': {
    title: 'Read-only registry',
    paragraphs: [
      'Only GET and HEAD are served: this is the read path. Publish with `gantry publish SOURCE NAME:TAG`; `docker push` goes to a registry that takes pushes, from which `gantry sync` can copy.',
    ],
  },
  'endpoint-unknown': {
    title: 'Endpoint unknown',
    paragraphs: ['The path is none of the OCI distribution specification. See `/` for what this registry has.'],
  },
  'v1-unsupported': {
    title: 'No v1 API',
    paragraphs: [
      'Docker engines before 1.10 fall back to the v1 API when the v2 API did not give them what they asked for; the first answer is the one that counts.',
    ],
  },
  'range-not-satisfiable': {
    title: 'Range not satisfiable',
    paragraphs: ['The first byte asked for lies beyond the end. `Content-Range` in the answer tells the length.'],
  },
  unauthorized: {
    title: 'Authentication required',
    paragraphs: [
      'Log in with `docker login HOST`, or ask who runs this registry for a token. Public repositories need none.',
    ],
  },
  denied: { title: 'Denied', paragraphs: ['You are known, but may not do this. Ask who runs this registry.'] },
  'too-many-requests': {
    title: 'Too many requests',
    paragraphs: [
      'Wait as long as `Retry-After` says. After several failed logins from one address the registry waits before it looks at the next.',
    ],
  },
  'record-corrupt': {
    title: 'Record damaged',
    paragraphs: [
      'The object in the bucket cannot be read. Nothing else is touched by it. `gantry verify NAME` says what is wrong; publishing the tag again, or `gantry verify --repair`, mends it.',
    ],
  },
  'storage-unavailable': {
    title: 'Storage unavailable',
    paragraphs: [
      'The bucket failed or was too slow, several times. Try again after the seconds in `Retry-After`; clients do so by themselves or with `docker pull` once more.',
    ],
  },
  'upstream-unavailable': {
    title: 'Upstream unavailable',
    paragraphs: [
      'This repository is filled from another registry, which is down, slow, refusing or rate-limiting us. What is already stored goes on being served. Try again after the seconds in `Retry-After`.',
    ],
  },
  'authority-unavailable': {
    title: 'Login cannot be checked',
    paragraphs: [
      'The token was made by another server, whose public keys (JWKS) did not come. Try again after the seconds in `Retry-After`. Public repositories and robot tokens are not touched by it.',
    ],
  },
  internal: {
    title: 'Internal error',
    paragraphs: ['A fault in Gantry itself. The log line with the request id from the answer says more.'],
  },
} as const satisfies Record<Reason, Help>;

/** The help page of a reason. */
export function helpOf(reason: Reason): Help {
  return HELP[reason];
}
