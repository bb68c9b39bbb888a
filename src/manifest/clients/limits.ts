/**
 * What clients accept by media type but cannot use, in one table, by the version in their `User-Agent`. A client that
 * is not in the table has no limits.
 */

/** What a client cannot use. */
export type Limit =
  /** Layers packed with zstd. */
  | 'zstd'
  /** A schema 2 with Docker's own media type for zstd layers, which its specification does not have. */
  | 'docker-zstd'
  /** A schema 2 with OCI media types for layers. */
  | 'oci-in-docker';

/** A version of a program: major, and minor if it has one. */
type Version = readonly [major: number, minor: number];

interface LimitRow {
  readonly program: string;
  readonly limit: Limit;
  /** The first version without the limit; null: there is none yet. */
  readonly until: Version | null;
  readonly source: string;
}

const MEDIA_TYPES_OF_SCHEMA2 = 'containers/image, manifest.SupportedSchema2MediaType';

/**
 * The limits. `containers` is the library of podman. skopeo, buildah and CRI-O use the same library, but send their own
 * names.
 */
const LIMITS: readonly LimitRow[] = [
  // The beta releases of 22.06 have it.
  { program: 'docker', limit: 'zstd', until: [22, 0], source: 'moby/moby#41759; release notes of 23.0' },
  { program: 'containerd', limit: 'zstd', until: [1, 5], source: 'release notes of 1.5' },
  { program: 'containerd', limit: 'docker-zstd', until: [2, 0], source: 'containerd, images.DiffCompression' },
  { program: 'containers', limit: 'docker-zstd', until: [5, 38], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'skopeo', limit: 'docker-zstd', until: [1, 21], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'Buildah', limit: 'docker-zstd', until: [1, 42], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'cri-o', limit: 'docker-zstd', until: [1, 35], source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'containers', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'skopeo', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'Buildah', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
  { program: 'cri-o', limit: 'oci-in-docker', until: null, source: MEDIA_TYPES_OF_SCHEMA2 },
];

/** One `User-Agent` for each set of limits in the table. */
const REPRESENTATIVES = [
  'docker/20.10',
  'containerd/1.4',
  'containerd/1.7',
  'containers/5.37',
  'containers/5.38',
] as const;

/** The limits of a client. */
export function limitsOf(userAgent: string | null): readonly Limit[] {
  const version = versionOf(userAgent);
  if (version === null) return [];
  return LIMITS.filter(
    ({ program, until }) => program === version.program && (until === null || isBefore(version, until)),
  ).map(({ limit }) => limit);
}

/** The `User-Agent` that represents all clients with the same limits; null for none. */
export function representativeOf(userAgent: string | null): string | null {
  const key = limitsOf(userAgent).join();
  return REPRESENTATIVES.find((one) => limitsOf(one).join() === key) ?? null;
}

/** The program that reads manifests and layers, and its version. */
function versionOf(userAgent: string | null): { readonly program: string; readonly version: Version } | null {
  if (userAgent === null) return null;
  // Docker on containerd's image store names both; the store decides.
  const [, store, storeMinor] = / containerd-client\/v?(\d{1,3})\.(\d{1,3})(?!\d)/.exec(userAgent) ?? [];
  if (store !== undefined) return { program: 'containerd', version: [Number(store), Number(storeMinor)] };
  const [, program, major, minor] = /^([A-Za-z-]{1,20})\/v?(\d{1,3})(?:\.(\d{1,3}))?(?!\d)/.exec(userAgent) ?? [];
  return program === undefined ? null : { program, version: [Number(major), Number(minor ?? 0)] };
}

function isBefore({ version: [major, minor] }: { readonly version: Version }, until: Version): boolean {
  return major < until[0] || (major === until[0] && minor < until[1]);
}
