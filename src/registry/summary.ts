import type { Digest } from './digest.ts';
import type { Form } from './media-type.ts';
import type { Reason } from './errors.ts';

/** What the tag list keeps of each tag, for pages and `gantry ls`. */
export interface TagSummary {
  /** When the tag was last moved, RFC 3339 UTC. */
  readonly updated: string;
  /** Bytes of the layers as they are pulled, of the default platform (or the only image). */
  readonly size: number;
  /** `os/architecture[/variant]` of each image. */
  readonly platforms: readonly string[];
  readonly published: readonly Form[];
  readonly derived: readonly Form[];
  readonly missing: readonly { readonly form: Form; readonly reason: Reason }[];
}

/** A tag's entry in the list as the publisher writes it: a summary, and what it was made of. An edge's entries, and older ones, are summaries alone. */
export interface TagEntry extends TagSummary {
  /** Entity tag of the tag object that it was made of. */
  readonly etag: string;
  /** What was published under the tag ({@link import('./records.ts').publishedDigests}): while the object is that one, a sync need not look at it. */
  readonly digests: readonly Digest[];
}
