import type { ByteRange } from '../../registry/store.ts';

/** How a question is asked: what of the request plays a part beside what it is about. */
export interface Asked {
  /** Only the headers are wanted. */
  readonly head: boolean;
  /** `Accept` in canonical form; null where the client sent none, or where it does not matter. */
  readonly accept: string | null;
  /** `User-Agent` in canonical form: what of it may tell an old engine and its platform. */
  readonly userAgent: string | null;
  /** Part of a blob; null for all of it. */
  readonly range: ByteRange | null;
}
