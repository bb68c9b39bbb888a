/** The port through which images are read: publisher sources, another registry (origin-image.ts) and the bucket itself (stored-image.ts) implement it. */
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import type { Tag } from '../registry/name.ts';

/** A manifest as a source sent it, not verified. `mediaType` is absent where the source has none (`dir:`). */
export interface SourceManifest {
  readonly bytes: Uint8Array;
  readonly mediaType?: string;
  /** The digest that the source claims, if it does. */
  readonly digest?: Digest;
}

/** A blob, not verified. `size` in bytes, where it is known beforehand. */
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

/** One image (or list of images, or artifact) that can be read. The reader verifies every digest (read-image.ts). */
export interface ImageSource {
  /** What was published under the tag: usually one, several where a source has several forms of it (Pulp 2). */
  readonly roots: readonly SourceManifest[];
  /** The source serves it only to clients with a certificate (Pulp 2): it must not become public. */
  readonly protected?: boolean;
  /** A child of a list, or any manifest by digest; null if the source does not have it. `mediaType`: what the list calls it. */
  manifest(digest: Digest, options?: { readonly mediaType?: string }): Promise<SourceManifest | null>;
  /** A config or layer; null if the source does not have it. May be called more than once for the same digest. */
  blob(digest: Digest, options?: { readonly signal?: AbortSignal }): Promise<SourceBlob | null>;
  /** Manifests that refer to that one (OCI referrers, fallback tag); empty where the source has none. */
  referrers(subject: Digest): Promise<readonly Descriptor[]>;
  /** Tags that belong to that manifest by their name alone (cosign); absent where the source has no tags. */
  companions?(subject: Digest): Promise<readonly Companion[]>;
  /** Closes files and connections. */
  close(): Promise<void>;
}

/** A tag that belongs to a manifest by its name. Its image is closed with the source. */
export interface Companion {
  readonly tag: Tag;
  readonly image: ImageSource;
}

/** An image that cannot be used: incomplete, damaged, or beyond the limits. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  /** What to do, one sentence; absent where there is nothing. */
  readonly hint: string | undefined;

  constructor(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}

/** The suffixes of tags by which cosign finds what belongs to a manifest: signature, attestations, SBOM (sigstore/cosign, SIGNATURE_SPEC.md). */
export const COSIGN_SUFFIXES = ['sig', 'att', 'sbom'] as const;

/** Whether a tag is named by the digest of what it belongs to: cosign's, and the fallback tag of referrers (OCI distribution spec, "Referrers Tag Schema"). */
export function isCompanionTag(tag: string): boolean {
  return /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]+)(?:\.(?:sig|att|sbom))?$/.test(tag);
}
