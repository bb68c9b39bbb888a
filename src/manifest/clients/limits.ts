/**
 * What clients announce or are offered but cannot use, in one table, by the version in their `User-Agent`. Negotiation,
 * `gantry explain`, `gantry doctor`, the pages and docs/reference/compatibility.md read it. A client that is not in the table has
 * no limits.
 */

/** What a client cannot use or do. */
export type Limit =
  /** Layers packed with zstd. */
  | 'zstd'
  /** A schema 2 with Docker's own media type for zstd layers, which its specification does not have. */
  | 'docker-zstd'
  /** A schema 2 with OCI media types for layers. */
  | 'oci-in-docker'
  /** OCI manifests and indexes, although it accepts them. */
  | 'oci'
  /** Schema 1, although it may accept it. */
  | 'schema1'
  /** Artifacts: manifests that are not of a container image. */
  | 'artifact'
  /** A schema 1 with an empty `name`. */
  | 'nameless-schema1'
  /** Opaque whiteouts (`.wh..wh..opq`). */
  | 'opaque-whiteouts'
  /** All tags of a repository at once (`docker pull --all-tags`). */
  | 'all-tags';

/** A version of a program: major, and minor and patch if they matter. */
export type Version = readonly [major: number, minor?: number, patch?: number];

interface LimitRow {
  readonly program: string;
  readonly limit: Limit;
  /** The first version with the limit; absent: it has always been there. */
  readonly from?: Version;
  /** The first version without the limit; null: there is none yet. */
  readonly until: Version | null;
  /** The source code, issue, release notes or measurement that shows it. */
  readonly source: string;
}

const MEDIA_TYPES_OF_SCHEMA2 = 'containers/image, manifest.SupportedSchema2MediaType';

/**
 * The limits. `containers` is the library of podman. skopeo, buildah and CRI-O use the same library, but send their own
 * names.
 */
export const LIMITS: readonly LimitRow[] = [
  {
    program: 'docker',
    limit: 'nameless-schema1',
    until: [1, 8],
    source: 'measured with 1.6.2 and 1.7.1; moby, graph/manifest.go: namespace[0] ("index out of range")',
  },
  {
    program: 'docker',
    limit: 'opaque-whiteouts',
    until: [1, 9],
    source: 'measured with 1.6.2, 1.7.1, 1.8.3 and 1.9.1; moby, pkg/archive/diff.go',
  },
  {
    program: 'docker',
    limit: 'all-tags',
    until: [1, 7],
    source: 'measured with 1.6.2; moby, registry/session_v2.go: the members of remoteTags are not exported',
  },
  {
    program: 'docker',
    limit: 'oci',
    from: [19, 3, 0],
    until: [19, 3, 5],
    source: 'moby/moby#39727; docker-archive/engine#405',
  },
  // The beta releases of 22.06 have it.
  { program: 'docker', limit: 'zstd', until: [22, 6], source: 'moby/moby#41759; release notes of 23.0' },
  // 26.0 to 28.1 read it if DOCKER_ENABLE_DEPRECATED_PULL_SCHEMA_1_IMAGE is set.
  {
    program: 'docker',
    limit: 'schema1',
    from: [26],
    until: null,
    source: 'measured with 26.1 and 28.5; moby, distribution/pull_v2.go: DeprecatedSchema1ImageError',
  },
  {
    program: 'docker',
    limit: 'artifact',
    until: null,
    source: 'measured with 20.10, 26.1 and 28.5; moby, distribution/pull_v2.go: the media type of the config',
  },
  { program: 'containerd', limit: 'zstd', until: [1, 5], source: 'release notes of 1.5' },
  { program: 'containerd', limit: 'docker-zstd', until: [2], source: 'containerd, images.DiffCompression' },
  // 2.0 reads it if CONTAINERD_ENABLE_DEPRECATED_PULL_SCHEMA_1_IMAGE is set.
  {
    program: 'containerd',
    limit: 'schema1',
    from: [2],
    until: null,
    source: 'measured with 2.1; containerd, schema1.NewConverter of 2.0',
  },
  { program: 'containerd', limit: 'artifact', until: null, source: 'measured with 1.6, 1.7 and 2.1' },
  // podman. skopeo copies artifacts.
  { program: 'containers', limit: 'artifact', until: null, source: 'measured with podman 4.3 to 5.8' },
  { program: 'Buildah', limit: 'artifact', until: null, source: 'measured with 1.28 and 1.39' },
  {
    program: 'systemd-pull',
    limit: 'artifact',
    until: null,
    source: 'systemd, src/import/pull-oci.c: oci_pull_process_manifest',
  },
  { program: 'containers', limit: 'docker-zstd', until: [5, 38], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'skopeo', limit: 'docker-zstd', until: [1, 21], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'Buildah', limit: 'docker-zstd', until: [1, 42], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'cri-o', limit: 'docker-zstd', until: [1, 35], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'containers', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'skopeo', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'Buildah', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'cri-o', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
  {
    program: 'go-containerregistry',
    limit: 'schema1',
    until: null,
    source: 'measured with crane 0.20; google/go-containerregistry, remote.ErrSchema1',
  },
];

/** The limits that the choice of a form by tag depends on. */
const NEGOTIATED: ReadonlySet<Limit> = new Set(['zstd', 'docker-zstd', 'oci-in-docker', 'oci'] as const);

/** One `User-Agent` for each set of negotiated limits in the table. */
const REPRESENTATIVES = [
  'docker/20.10',
  'docker/19.03.4',
  'containerd/1.4',
  'containerd/1.7',
  'containers/5.37',
  'containers/5.38',
] as const;

/** The limits of a client. */
export function limitsOf(userAgent: string | null): readonly Limit[] {
  const client = programOf(userAgent);
  if (client === null) return [];
  return LIMITS.filter(
    ({ program, from, until }) =>
      program === client.program &&
      (from === undefined || !isBefore(client.version, from)) &&
      (until === null || isBefore(client.version, until)),
  ).map(({ limit }) => limit);
}

/** The `User-Agent` that represents all clients with the same negotiated limits; null for none. */
export function representativeOf(userAgent: string | null): string | null {
  const key = negotiatedKey(userAgent);
  return REPRESENTATIVES.find((one) => negotiatedKey(one) === key) ?? null;
}

function negotiatedKey(userAgent: string | null): string {
  return limitsOf(userAgent)
    .filter((limit) => NEGOTIATED.has(limit))
    .toSorted()
    .join();
}

/** The program that reads manifests and layers, and its version; null if the `User-Agent` does not say it. */
export function programOf(
  userAgent: string | null,
): { readonly program: string; readonly version: Required<Version> } | null {
  if (userAgent === null) return null;
  // Kaniko and others put their own name before that of the library.
  if (/(?:^| )go-containerregistry(?:[/ ]|$)/.test(userAgent))
    return { program: 'go-containerregistry', version: [0, 0, 0] };
  // Docker on containerd's image store names both; the store decides.
  const [, store, storeMinor, storePatch] =
    / containerd-client\/v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?!\d)/.exec(userAgent) ?? [];
  if (store !== undefined) return { program: 'containerd', version: versionOf(store, storeMinor, storePatch) };
  const [, program, major, minor, patch] =
    /^([A-Za-z-]{1,20})\/v?(\d{1,3})(?:\.(\d{1,3})(?:\.(\d{1,3}))?)?(?!\d)/.exec(userAgent) ?? [];
  return program === undefined ? null : { program, version: versionOf(major, minor, patch) };
}

function versionOf(...parts: readonly (string | undefined)[]): Required<Version> {
  const [major = 0, minor = 0, patch = 0] = parts.map((part) => Number(part ?? 0));
  return [major, minor, patch];
}

/** Whether a version is lower than another one; parts that the other one does not have are 0. */
export function isBefore(version: Required<Version>, other: Version): boolean {
  const [major, minor = 0, patch = 0] = other;
  const difference = version[0] - major || version[1] - minor || version[2] - patch;
  return difference < 0;
}
