import type { Digest } from './digest.ts';
import type { Form } from './media-type.ts';
import type { Reason } from './errors.ts';

/** The detail of a tag in the tag list, for pages and `gantry ls`. */
export interface TagSummary {
  /** When the tag was last moved, RFC 3339 UTC. */
  readonly updated: string;
  /** Compressed size of the layers in bytes, for the default platform or the only image. */
  readonly size: number;
  /** `os/architecture[/variant]` of each image. */
  readonly platforms: readonly string[];
  readonly published: readonly Form[];
  readonly derived: readonly Form[];
  readonly missing: readonly { readonly form: Form; readonly reason: Reason }[];
  /**
   * `org.opencontainers.image.description` of the list or image, cut to {@link DESCRIPTION_MAX} characters. Absent
   * without one.
   */
  readonly description?: string;
  /** `org.opencontainers.image.documentation`: an `http` or `https` URL. Absent without one. */
  readonly documentation?: string;
}

/** Longest description in a list, in characters: each tag of a list has one. */
export const DESCRIPTION_MAX = 300;

/** Longest address in a list, in characters. */
export const ADDRESS_MAX = 300;

/** The detail of a repository in the catalogue, for the front page. */
export interface RepositorySummary {
  /** Number of tags. */
  readonly tags: number;
  /** When a tag was last moved, RFC 3339 UTC. */
  readonly updated: string;
  /** The tags that moved last, newest first, for the search. */
  readonly recent: readonly string[];
}

/** The detail as the publisher writes it. Entries of pull-through, and older ones, are only a {@link TagSummary}. */
export interface TagEntry extends TagSummary {
  /** Etag of the summarized tag object. */
  readonly etag: string;
  /** The published digests ({@link import('./records.ts').publishedDigests}), so that a sync need not read the tag. */
  readonly digests: readonly Digest[];
}
