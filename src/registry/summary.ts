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
