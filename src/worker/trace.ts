import type { Reason } from '../registry/errors.ts';
import type { Form } from '../registry/media-type.ts';
import type { Question } from './question.ts';

/** What is learnt about a request while it is answered, for its log line. */
export interface Trace {
  readonly id: string;
  readonly begun: number;
  question?: Question;
  reason?: Reason;
  form?: Form | string;
  /** What the cache did: `HIT`, `MISS` …; absent where there is none. */
  cache?: string;
  /** R2 reads made for this very request, and how long they took, in milliseconds. */
  heads: number;
  gets: number;
  storageTime: number;
}

/** The trace of a request that begins now. */
export function beginTrace(): Trace {
  return { id: crypto.randomUUID(), begun: Date.now(), heads: 0, gets: 0, storageTime: 0 };
}
