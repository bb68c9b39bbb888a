/**
 * The help texts of the reason table: what each reason means and what to do. They are a file of their own because only
 * pages and documents show them, and no pull has to load them.
 */
import type { Reason } from './errors.ts';

/** A help page. */
export interface Help {
  readonly title: string;
  /** What the reason means and what to do. Commands are in backquotes. */
  readonly paragraphs: readonly [string, ...string[]];
}

const OLD_ENGINE =
  'Docker engines before 1.10 (February 2016) read only schema 1 manifests. They pull by tag and send no Accept ' +
  'header, so the registry treats a client without one as such an engine.';
const WAYS_OUT = 'Use Docker 1.10 or newer, podman, skopeo or containerd: they read the forms that this tag has.';

const HELP = {
  'name-unknown': {
    title: 'Repository unknown',
    paragraphs: [
      'Nothing is published under this name, or your credentials do not allow you to see it. Check the ' +
        'spelling. If this registry is a mirror of Docker Hub, Docker requests a one-word name such as ' +
        '`hello` as `library/hello`.',
      'Publish an image with `gantry publish SOURCE NAME:TAG`. `gantry ls` lists the repositories.',
    ],
  },
  'tag-unknown': {
    title: 'Tag unknown',
    paragraphs: [
      'The repository exists, but it has no such tag. `gantry ls NAME` and `GET /v2/<name>/tags/list` ' +
        'list its tags.',
    ],
  },
  'tag-invalid': {
    title: 'Not a tag',
    paragraphs: [
      'A tag has at most 128 letters, digits, `_`, `.` and `-`, and begins with a letter, a digit or ' +
        '`_` (OCI distribution spec).',
    ],
  },
  'manifest-unknown': {
    title: 'Manifest unknown',
    paragraphs: [
      'No manifest with this digest was published in this repository, or it was removed. A request by ' +
        'digest never returns another manifest. Derived manifests (schema 1 and others) can be pulled by ' +
        'their digests, too; `gantry inspect NAME:TAG` lists all of them.',
    ],
  },
  'schema1-not-published': {
    title: 'No schema 1 published',
    paragraphs: [
      `${OLD_ENGINE} This tag was published without a schema 1 manifest.`,
      WAYS_OUT,
      'If you publish the image, publish it again: `gantry publish` derives schema 1 wherever that is ' + 'possible.',
    ],
  },
  'schema1-foreign-layers': {
    title: 'No schema 1: foreign layers',
    paragraphs: [
      `${OLD_ENGINE} Clients download a foreign layer from its own address (\`urls\`), as with Windows ` +
        'base images. Schema 1 has no field for this address, so an old engine would request the layer ' +
        'here, where it is not stored.',
      WAYS_OUT,
    ],
  },
  'schema1-zstd-layers': {
    title: 'No schema 1: zstd layers',
    paragraphs: [
      `${OLD_ENGINE} They unpack gzip, bzip2, xz and plain tar, but not zstd.`,
      'Publish the image again with `gantry publish --recompress`. The derived forms then use gzip ' +
        'copies of the layers; the published form keeps its own layers.',
      WAYS_OUT,
    ],
  },
  'schema1-no-platform': {
    title: 'No schema 1 for the platform',
    paragraphs: [
      `${OLD_ENGINE} A schema 1 manifest is for one platform: the one in the engine's User-Agent, or ` +
        'else linux/amd64. The tag lists images for several platforms, but none for this one.',
      '`gantry inspect NAME:TAG` shows the platforms of the tag.',
    ],
  },
  'schema1-not-an-image': {
    title: 'No schema 1: not an image',
    paragraphs: [
      'The tag holds an artifact that is not a container image, such as a Helm chart, a signature or an' +
        ' attestation. Docker engines cannot run it. Use the tool that created it.',
    ],
  },
  'schema1-no-history': {
    title: 'No schema 1: no history',
    paragraphs: [
      `${OLD_ENGINE} Schema 1 is derived from the history in the image config, with one entry for each ` +
        'layer. An OCI config may omit the history; then schema 1 cannot be derived.',
      'Build the image with a tool that writes history, such as docker, buildah or BuildKit.',
      WAYS_OUT,
    ],
  },
  'schema1-history-mismatch': {
    title: 'No schema 1: history and layers differ',
    paragraphs: [
      `${OLD_ENGINE} Each history entry of the config that is not marked as empty stands for one layer.` +
        ' This config has more or fewer such entries than layers. A schema 1 manifest would omit layers ' +
        'or name layers that do not exist.',
      WAYS_OUT,
    ],
  },
  'schema1-config-invalid': {
    title: 'No schema 1: config invalid',
    paragraphs: [
      `${OLD_ENGINE} The image config does not follow the image specification, so it was not converted.` +
        ' `gantry inspect NAME:TAG` shows the error.',
      WAYS_OUT,
    ],
  },
  'schema1-config-ambiguous': {
    title: 'No schema 1: config ambiguous',
    paragraphs: [
      `${OLD_ENGINE} The config repeats a member, or has a time that not all programs can read. ` +
        'Converters would produce different results. `gantry convert --compat` shows the result of ' +
        'docker/distribution.',
      WAYS_OUT,
    ],
  },
  'schema1-base-has-parent': {
    title: 'No schema 1: parent in the base layer',
    paragraphs: [
      `${OLD_ENGINE} The lowest layer of a schema 1 image must not have a parent. This config names ` +
        'one, and engines would refuse it with "invalid parent ID in the base layer".',
      WAYS_OUT,
    ],
  },
  'schema1-layer-digest': {
    title: 'No schema 1: layer digest',
    paragraphs: [`${OLD_ENGINE} The digest of a layer must be sha256, sha384 or sha512 in lower case.`, WAYS_OUT],
  },
  'schema1-too-large': {
    title: 'No schema 1: too large',
    paragraphs: [
      `${OLD_ENGINE} A schema 1 repeats the image config and has an entry for each entry of the history. Gantry derives ` +
        'none with more than 1,000 entries or layers, or above 4 MiB, which many clients do not read. The published ' +
        'form is served as it is.',
      'Build the image with fewer instructions, and with smaller labels and environment variables.',
      WAYS_OUT,
    ],
  },
  'schema2-zstd-layers': {
    title: 'No schema 2: zstd layers',
    paragraphs: [
      'The image is published in OCI form with zstd layers. A client that accepts only Docker types ' +
        'cannot unpack zstd.',
      'Publish the image again with `gantry publish --recompress`, or use a client that reads OCI ' + 'images.',
    ],
  },
  'schema2-not-an-image': {
    title: 'No schema 2: not an image',
    paragraphs: [
      'The tag holds an artifact that is not a container image, such as a Helm chart, a signature or an' +
        ' attestation. Pull it with OCI types, by the tool that created it.',
    ],
  },
  'schema2-layers-unreadable': {
    title: 'No schema 2: layers unreadable',
    paragraphs: [
      'Schema 2 names each layer by the digest of its unpacked content, so the layers of a schema 1 ' +
        'image must be unpacked once. One of the layers is missing, is damaged, or has a compression that' +
        ' is not supported (bzip2, xz).',
    ],
  },
  'schema2-layers-unread': {
    title: 'No schema 2 yet',
    paragraphs: [
      'The upstream registry has this tag as schema 1 only. Schema 2 names each layer by the digest of its unpacked ' +
        'content. So Gantry unpacks the layers once, when the first client requests schema 2 or OCI. The upstream ' +
        'did not send them this time.',
      'Try again after the number of seconds in `Retry-After`. Clients that read schema 1 get it meanwhile.',
    ],
  },
  'schema2-history-mismatch': {
    title: 'No schema 2: history damaged',
    paragraphs: [
      'The `v1Compatibility` texts of the schema 1 manifest are not JSON objects or do not match its ' +
        'layers, so no image config can be rebuilt from them.',
    ],
  },
  'schema2-too-large': {
    title: 'No schema 2: too large',
    paragraphs: [
      'Gantry derives no manifest above 4 MiB, which many clients do not read, and nothing from a schema 1 with more ' +
        'than 1,000 entries. The published form is served as it is.',
    ],
  },
  'zstd-layers': {
    title: 'zstd layers',
    paragraphs: [
      'Docker before 23.0 and containerd before 1.5 accept OCI manifests but cannot unpack zstd layers:' +
        ' the pull would fail with "invalid tar header". The registry recognizes these clients by their ' +
        'User-Agent.',
      'Publish the image again with `gantry publish --recompress`. These clients then receive a derived' +
        ' form with gzip copies of the layers, and all other clients receive the published form.',
      'Or use Docker 23.0, containerd 1.5 or newer. By digest, every client receives exactly the ' +
        'requested manifest.',
    ],
  },
  'form-not-published': {
    title: 'No acceptable form',
    paragraphs: [
      'The tag exists, but not in a manifest format that the client accepts. The response lists the ' +
        'available formats.',
      'Add one of them to `Accept`, or use another client.',
    ],
  },
  'form-unknown': {
    title: 'Format unknown: the upstream failed',
    paragraphs: [
      'This tag comes from an upstream registry. It has a manifest, but the upstream did not answer for the formats ' +
        'that this client reads. So it is unknown whether the tag has one of them. ' +
        'Other clients can pull the tag meanwhile.',
      'Try again after the seconds in `Retry-After`. If the error remains, the log of the Worker has the answer of the ' +
        'upstream, in events `upstream-unavailable`.',
    ],
  },
  'manifest-too-new': {
    title: 'Manifest not readable by this client',
    paragraphs: [
      "A digest names exact bytes, so they are never converted. The client's `Accept` or its age shows " +
        'that it cannot read this format.',
      'Pull by tag, or by the digest of the schema 1 form, which `gantry inspect NAME:TAG` shows.',
    ],
  },
  'platform-unknown': {
    title: 'Platform unknown',
    paragraphs: [
      'The tag has no image for the platform that the request names, or none for linux/amd64 if the request names ' +
        'none. The message lists the platforms of the tag.',
      'Add one of them to the address of the archive: `/r/NAME:TAG.tar?platform=linux/arm64`.',
    ],
  },
  'archive-impossible': {
    title: 'No archive',
    paragraphs: [
      'An archive for `docker load` holds a container image with all its layers. The tag is an artifact, or the ' +
        'image has foreign layers (`urls`), which clients download from another address.',
      'Pull the tag with a client that reads it, e.g. `oras pull` for artifacts.',
    ],
  },
  'blob-unknown': {
    title: 'Blob unknown',
    paragraphs: [
      'No layer or config with this digest is stored. If a manifest names it, the image is incomplete; ' +
        '`gantry verify NAME` finds such images. Foreign layers are not stored here: clients download ' +
        'them from the address in the manifest.',
    ],
  },
  'name-invalid': {
    title: 'Repository name invalid',
    paragraphs: [
      'A repository name has at most 255 characters. Its components are separated by `/`. A component ' +
        'has lower-case letters and digits, separated by one `.`, one or two `_`, or any number of `-` ' +
        '(OCI distribution spec).',
    ],
  },
  'digest-invalid': {
    title: 'Digest invalid',
    paragraphs: ['A digest is `sha256:` and 64 lower-case hexadecimal digits, or `sha512:` and 128.'],
  },
  'page-size-invalid': {
    title: 'Page size invalid',
    paragraphs: ['`n` is the number of entries of a page. Omit it to get the whole list.'],
  },
  'query-invalid': {
    title: 'Query invalid',
    paragraphs: ['A query parameter is repeated, too long, or not decodable.'],
  },
  'host-invalid': {
    title: 'Host invalid',
    paragraphs: [
      'The request has several Host headers, or one that is not a host name. Send one, with the name of this registry. ' +
        'If a proxy stands in front, let it replace the header and not add one.',
    ],
  },
  'method-not-allowed': {
    title: 'Read-only registry',
    paragraphs: [
      'This registry serves only GET and HEAD. Publish with `gantry publish SOURCE NAME:TAG`, or push ' +
        'to another registry and copy from it with `gantry sync`.',
    ],
  },
  'endpoint-unknown': {
    title: 'Endpoint unknown',
    paragraphs: [
      'The path is not an endpoint of the OCI distribution specification. `/` shows the contents of ' +
        'this registry.',
    ],
  },
  'v1-unsupported': {
    title: 'No v1 API',
    paragraphs: [
      'Docker engines before 1.10 fall back to the v1 API after an error of the v2 API. The error of ' +
        'the v2 API is the one to fix.',
    ],
  },
  'precondition-failed': {
    title: 'Precondition failed',
    paragraphs: [
      'The request has `If-Match`, and its entity tags do not include that of the content. Repeat the request without ' +
        '`If-Match`, or with the current `ETag`.',
    ],
  },
  'range-not-satisfiable': {
    title: 'Range not satisfiable',
    paragraphs: ['The range begins after the end of the blob. `Content-Range` in the response has the length.'],
  },
  unauthorized: {
    title: 'Authentication required',
    paragraphs: [
      'Log in with `docker login HOST`, or ask the operator of this registry for a token. Public ' +
        'repositories need no login.',
    ],
  },
  denied: {
    title: 'Denied',
    paragraphs: [
      'Your credentials are valid, but they do not allow this. Ask the operator of this registry for ' + 'access.',
    ],
  },
  'too-many-requests': {
    title: 'Too many requests',
    paragraphs: [
      'Wait for the seconds in `Retry-After`. After several failed logins from one address, the ' +
        'registry delays further logins.',
    ],
  },
  'record-corrupt': {
    title: 'Record damaged',
    paragraphs: [
      'The object in the bucket cannot be read. Other tags are not affected. `gantry verify NAME` shows' +
        ' the error. To fix it, publish the tag again or run `gantry verify --repair`.',
    ],
  },
  'storage-unavailable': {
    title: 'Storage unavailable',
    paragraphs: [
      'Several reads of the bucket failed or timed out. Try again after the seconds in `Retry-After`. ' +
        'Some clients retry by themselves; otherwise run `docker pull` again.',
    ],
  },
  'upstream-unavailable': {
    title: 'Upstream unavailable',
    paragraphs: [
      'This repository is filled from another registry. That registry is down, too slow, refuses access' +
        ' or limits the request rate. Stored images are still served. Try again after the seconds in ' +
        '`Retry-After`.',
    ],
  },
  'upstream-over-limit': {
    title: 'Beyond the limits of filling',
    paragraphs: [
      'This repository is filled from another registry. The requested content exceeds the limits of Gantry for one ' +
        'request: a manifest above 4 MiB, a list or image that needs too many requests or bytes, or a blob above the ' +
        'limit of the rule (`largest`).',
      'Publish the image with `gantry publish`, which has no such limits, or pull it from the upstream registry. The ' +
        "Worker's log has an event `upstream-unavailable` with the limit.",
    ],
  },
  'fill-limited': {
    title: 'Too many fetches',
    paragraphs: [
      'The requested content is not stored yet, so it must be fetched from the upstream registry. The number of fetches ' +
        'is limited: those that one client starts in a minute, and those that one Worker has at the same time. ' +
        'Stored content is not limited.',
      'Try again after the seconds in `Retry-After`. Many clients do so by themselves.',
    ],
  },
  'authority-unavailable': {
    title: 'Login cannot be checked',
    paragraphs: [
      'Another server issued the token, and its public keys (JWKS) could not be fetched. Try again ' +
        'after the seconds in `Retry-After`. Public repositories and robot tokens are not affected.',
    ],
  },
  internal: {
    title: 'Internal error',
    paragraphs: ['An error in Gantry itself. The log line with the request id of the response has the details.'],
  },
} as const satisfies Record<Reason, Help>;

/** The help page of a reason. */
export function helpOf(reason: Reason): Help {
  return HELP[reason];
}
