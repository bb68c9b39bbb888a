import type { Accept } from '../../http/accept.ts';
import type { ByteRange } from '../../registry/store.ts';

/** How a representation is requested: the method, and what negotiation and ranges need of the headers. */
export interface RequestOptions {
  /** Whether the method is HEAD: then no body is opened. */
  readonly head: boolean;
  /** `Accept`, parsed once. Only manifests are negotiated; null for everything else. */
  readonly accept: Accept;
  readonly userAgent: string | null;
  readonly range: ByteRange | null;
}
