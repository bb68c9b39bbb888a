import type { ByteRange } from '../registry/store.ts';

/** How a question is asked: what of the request plays a part beside what it is about. */
export interface Asked {
  /** Only the headers are wanted. */
  readonly head: boolean;
  /** `Accept` in canonical form; null where the client sent none. */
  readonly accept: string | null;
  /** `User-Agent`, handed on only where it may tell an old engine's platform. */
  readonly userAgent: string | null;
  /** Part of a blob; null for all of it. */
  readonly range: ByteRange | null;
  /** Blobs of at most so many bytes are answered whole all the same: a cache in front keeps them and cuts ranges itself. */
  readonly wholeUpTo: number;
}
