import type { Reason } from '../../registry/errors.ts';
import type { RegistryRequest } from '../gateway/registry-request.ts';
import type { RegistryResponse } from '../gateway/registry-response.ts';

/** What is learnt about a request while it is answered, for its log line. */
export interface Trace {
  readonly id: string;
  readonly begun: number;
  /** What the client requests from the registry; absent for other endpoints. */
  target?: RegistryRequest;
  reason?: Reason;
  form?: string;
  /** What the cache did: `HIT`, `MISS` …; absent where there is none. */
  cache?: string;
  /** R2 reads made for this very request, and how long the answer to them took, in milliseconds. */
  heads: number;
  gets: number;
  storageTime: number;
  /** Bytes of the body that was promised; not yet known while the answer has not got its last headers. */
  bytes?: number;
}

/** The trace of a request that begins now. */
export function beginTrace(): Trace {
  return { id: crypto.randomUUID(), begun: Date.now(), heads: 0, gets: 0, storageTime: 0 };
}

/** Notes what a reply tells. A request may ask several questions. */
export function noteResponse(trace: Trace, { facts, cache, refusal }: RegistryResponse): void {
  if (cache !== null) trace.cache = cache;
  if (facts?.form !== undefined) trace.form = facts.form;
  if (refusal !== null) trace.reason = refusal.reason;
  // What comes out of a cache tells of the reads of long ago.
  if (facts === null || (cache !== null && FROM_CACHE.has(cache))) return;
  trace.heads += facts.head;
  trace.gets += facts.get;
  trace.storageTime += facts.ms;
}

// `UPDATING` and `STALE`: stored, and fetched anew behind the client's back.
const FROM_CACHE: ReadonlySet<string> = new Set(['HIT', 'STALE', 'UPDATING']);
