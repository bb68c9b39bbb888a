/** Events of a publish, for progress displays. */
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';

/** One event. Sizes in bytes; `size` is undefined while it is not known. */
export type PublishEvent =
  | {
      readonly event: 'plan';
      readonly name: RepositoryName;
      readonly tag: Tag;
      readonly blobs: number;
      readonly present: number;
      readonly toSend: number;
      /** The sum of the known sizes of the blobs to send. */
      readonly bytesToSend: number;
    }
  | {
      readonly event: 'blob-started';
      readonly digest: Digest;
      readonly role: string;
      readonly size: number | undefined;
    }
  | { readonly event: 'blob-progress'; readonly digest: Digest; readonly bytes: number }
  | { readonly event: 'blob-sent'; readonly digest: Digest; readonly size: number }
  | { readonly event: 'blob-retried'; readonly digest: Digest; readonly why: string }
  | { readonly event: 'working'; readonly what: string }
  | { readonly event: 'warning'; readonly message: string };

/** Receives events. `blob-progress` comes with every chunk. */
export type EventSink = (event: PublishEvent) => void;
