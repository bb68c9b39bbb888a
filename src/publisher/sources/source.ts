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
  /** False: plain http and any certificate are accepted. Undefined: only on this machine. */
  readonly tlsVerify?: boolean;
  /** The platforms wanted of a list: a source need not fetch others. Empty means all. */
  readonly platforms?: readonly Platform[];
  readonly signal?: AbortSignal;
  /** Receives messages for the user, e.g. that an archive is copied to disk first. */
  readonly onMessage?: (message: string) => void;
}

/** A manifest as a source gave it: bytes and the media type it came with (undefined where the source knows none, e.g. a `dir:`); nothing verified yet. */
export interface SourceManifest {
  readonly bytes: Uint8Array;
  readonly mediaType?: string;
  /** The digest the source says it has, where it says one. */
  readonly digest?: Digest;
}

/** A blob that a source can give: `size` in bytes where known beforehand. */
export interface SourceBlob {
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The same bytes in buffers that are filled again, for whoever copies or sends them on; one of both is read. Where it is there, opening the blob again costs little. */
  readonly pooled?: PooledChunks;
}

/** Chunks whose buffers are filled again. */
export interface PooledChunks {
  /** How many of the latest chunks stay good while the next one is asked for. */
  readonly validChunks: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** One image (or list of images, or artifact) in a source. Whoever reads it verifies every digest. */
export interface SourceImage {
  /** What was published under the tag: usually one, several where a source has several forms of it (Pulp 2). */
  readonly roots: readonly SourceManifest[];
  /** Only those who have a certificate for it may read it there (Pulp 2): it must not become public. */
  readonly protected?: boolean;
  /** A child of a list, or any manifest by digest; null if the source does not have it. */
  manifest(digest: Digest): Promise<SourceManifest | null>;
  /** A config or layer; null if the source does not have it. May be called more than once for the same digest. */
  blob(digest: Digest, options?: { readonly signal?: AbortSignal }): Promise<SourceBlob | null>;
  /** Manifests that refer to that one (OCI referrers, fallback tag); empty where the source knows none. */
  referrers(subject: Digest): Promise<readonly Descriptor[]>;
  /** Tags that belong to that manifest by their name alone (cosign); absent where the source knows none. */
  companions?(subject: Digest): Promise<readonly Companion[]>;
  /** Lets go of files and connections. */
  close(): Promise<void>;
}

/** A tag that belongs to a manifest by its name, and what is under it. It needs no closing of its own. */
export interface Companion {
  readonly tag: Tag;
  readonly image: SourceImage;
}

/** A repository of a source: many tags, each of which is an image. */
export interface SourceRepository {
  /** For messages. */
  readonly title: string;
  /** How it is called there. */
  readonly name: RepositoryName;
  /** All tags; null if there is no such repository. */
  tags(): Promise<readonly Tag[] | null>;
  /** The digests of what is published under a tag, found out as cheaply as can be; null if the tag is gone or nobody says. */
  digests(tag: Tag): Promise<readonly Digest[] | null>;
  /** Opens a tag; null if it is gone. `schema1`: whether to ask for a schema 1 beside what else there is. */
  open(tag: Tag, options: { readonly schema1: boolean }): Promise<SourceImage | null>;
  close(): Promise<void>;
}

/** The suffixes of tags by which cosign finds what belongs to a manifest: signature, attestations, SBOM (sigstore/cosign, SIGNATURE_SPEC.md). */
export const COSIGN_SUFFIXES = ['sig', 'att', 'sbom'] as const;

/** Whether a tag is named by the digest of what it belongs to: cosign's, and the fallback tag of referrers (OCI distribution spec, "Referrers Tag Schema"). */
export function isCompanionTag(tag: string): boolean {
  return /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]+)(?:\.(?:sig|att|sbom))?$/.test(tag);
}
