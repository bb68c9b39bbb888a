import type { Digest } from '../../registry/digest.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { Platform } from '../../registry/platform.ts';

/** How a source is read. */
export interface SourceOptions {
  /** All variables of the process: some sources read their own (`DOCKER_CONFIG`, `REGISTRY_AUTH_FILE` …). */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** `USER:PASSWORD` for a registry; it comes before any login that the environment offers. */
  readonly creds?: string;
  /** Host → `USER:PASSWORD`, each for that registry alone; it comes before any login that the environment offers. */
  readonly credsByHost?: ReadonlyMap<string, string>;
  /** False: plain http and any certificate are accepted. Undefined: only on this machine. */
  readonly tlsVerify?: boolean;
  /** The platforms wanted of a list: a source need not fetch others. Empty means all. */
  readonly platforms?: readonly Platform[];
  /** The most bytes that an archive may unpack to. Undefined: a default, and a limit on the ratio. */
  readonly maxUnpacked?: number;
  readonly signal?: AbortSignal;
  /** Receives messages for the user, e.g. that an archive is copied to disk first. */
  readonly onMessage?: (message: string) => void;
}

/** A manifest of a source: its bytes, not yet verified, and its media type if the source has one. */
export interface SourceManifest {
  readonly bytes: Uint8Array;
  readonly mediaType?: string;
  /** The digest that the source reports. */
  readonly digest?: Digest;
}

/** A blob of a source. `size` is in bytes; undefined if it is not known in advance. */
export interface SourceBlob {
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /**
   * The same bytes in buffers that are reused; only one of the two is read. If it exists, the blob is cheap to open
   * again.
   */
  readonly pooled?: PooledChunks;
}

/** Chunks in buffers that are reused. */
export interface PooledChunks {
  /** How many of the latest chunks stay valid while the next one is read. */
  readonly validChunks: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** One image (or list of images, or artifact) in a source. The caller verifies every digest. */
export interface SourceImage {
  /** The manifests under the tag: usually one, or several forms of one image (Pulp 2). */
  readonly roots: readonly SourceManifest[];
  /** The source restricts who may read it (Pulp 2), so it must not become public. */
  readonly protected?: boolean;
  /** A manifest by digest; null if the source does not have it. */
  manifest(digest: Digest): Promise<SourceManifest | null>;
  /** A config or layer; null if the source does not have it. May be called more than once for the same digest. */
  blob(digest: Digest, options?: { readonly signal?: AbortSignal }): Promise<SourceBlob | null>;
  /** The referrers of a manifest (OCI referrers, fallback tag). */
  referrers(subject: Digest): Promise<readonly Descriptor[]>;
  /** Tags that belong to the manifest by their name (cosign); absent if the source has no tags. */
  companions?(subject: Digest): Promise<readonly Companion[]>;
  /** Closes files and connections. */
  close(): Promise<void>;
}

/** A tag that belongs to a manifest by its name, and its image, which need not be closed. */
export interface Companion {
  readonly tag: Tag;
  readonly image: SourceImage;
}

/** A repository of a source, with its tags. */
export interface SourceRepository {
  /** For messages. */
  readonly title: string;
  /** Its name in the source. */
  readonly name: RepositoryName;
  /** All tags; null if the repository does not exist. */
  tags(): Promise<readonly Tag[] | null>;
  /**
   * The digests of a tag's manifests, read as cheaply as possible; null if the tag does not exist or the source reports
   * none.
   */
  digests(tag: Tag): Promise<readonly Digest[] | null>;
  /** Opens a tag; null if it does not exist. `schema1`: whether to request schema 1 as well. */
  open(tag: Tag, options: { readonly schema1: boolean }): Promise<SourceImage | null>;
  close(): Promise<void>;
}

/** The suffixes of cosign's tags: signature, attestations, SBOM (sigstore/cosign, SIGNATURE_SPEC.md). */
export const COSIGN_SUFFIXES = ['sig', 'att', 'sbom'] as const;

/**
 * Whether a tag is named by a manifest's digest: cosign's tags, and the fallback tag of referrers (OCI distribution
 * spec, "Referrers Tag Schema").
 */
export function isCompanionTag(tag: string): boolean {
  return /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]+)(?:\.(?:sig|att|sbom))?$/.test(tag);
}
