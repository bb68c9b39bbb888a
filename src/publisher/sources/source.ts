import type { Digest } from '../../registry/digest.ts';
import type { Descriptor } from '../../registry/descriptor.ts';

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
}

/** One image (or list of images, or artifact) in a source. Whoever reads it verifies every digest. */
export interface SourceImage {
  /** What was published under the tag: usually one, several where a source has several forms of it (Pulp 2). */
  readonly roots: readonly SourceManifest[];
  /** A child of a list, or any manifest by digest; null if the source does not have it. */
  manifest(digest: Digest): Promise<SourceManifest | null>;
  /** A config or layer; null if the source does not have it. May be called more than once for the same digest. */
  blob(digest: Digest, options?: { readonly signal?: AbortSignal }): Promise<SourceBlob | null>;
  /** Manifests that refer to that one (OCI referrers, fallback tag, cosign tags); empty where the source knows none. */
  referrers(subject: Digest): Promise<readonly Descriptor[]>;
  /** Lets go of files and connections. */
  close(): Promise<void>;
}
