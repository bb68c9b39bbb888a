/**
 * The port through which images are read: publisher sources, another registry (origin-image.ts) and the bucket itself
 * (stored-image.ts) implement it.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import type { Tag } from '../registry/name.ts';

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
export interface ImageSource {
  /** The manifests under the tag: usually one, or several forms of one image (Pulp 2). */
  readonly roots: readonly SourceManifest[];
  /** The source restricts who may read it (Pulp 2), so it must not become public. */
  readonly protected?: boolean;
  /** A manifest by digest; null if the source does not have it. `mediaType`: what the list that names it calls it. */
  manifest(digest: Digest, options?: { readonly mediaType?: string }): Promise<SourceManifest | null>;
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
  readonly image: ImageSource;
}

/** An image that cannot be used: incomplete, damaged, or beyond the limits. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  /** What to do, one sentence; absent where there is nothing. */
  readonly hint: string | undefined;
  /** Whether it is beyond the limits, and not damaged. */
  readonly isOverLimit: boolean;

  constructor(
    message: string,
    options: { readonly hint?: string; readonly isOverLimit?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.isOverLimit = options.isOverLimit ?? false;
  }
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

/** Whether a tag is the fallback tag of a manifest's referrers (OCI distribution spec, "Referrers Tag Schema"). */
export function isFallbackTag(tag: string): boolean {
  return isCompanionTag(tag) && !tag.includes('.');
}
