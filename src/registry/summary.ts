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
}

/** The detail as the publisher writes it. Entries of pull-through, and older ones, are only a {@link TagSummary}. */
export interface TagEntry extends TagSummary {
  /** Etag of the summarized tag object. */
  readonly etag: string;
  /** The published digests ({@link import('./records.ts').publishedDigests}), so that a sync need not read the tag. */
  readonly digests: readonly Digest[];
}
