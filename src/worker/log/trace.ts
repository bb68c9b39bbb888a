import type { Reason } from '../../registry/errors.ts';
import type { RegistryRequest } from '../gateway/registry-request.ts';
import type { RegistryResponse } from '../gateway/registry-response.ts';

/** The facts about a request that its log line contains, collected while it is answered. */
export interface Trace {
  readonly id: string;
  readonly begun: number;
  /** What the client requests from the registry; absent for other endpoints. */
  target?: RegistryRequest;
  reason?: Reason;
  form?: string;
  /** The cache's status: `HIT`, `MISS` …; absent without a cache. */
  cache?: string;
  /** R2 reads for this request, and the time until they were answered, in milliseconds. */
  heads: number;
  gets: number;
  storageTime: number;
  /**
   * Whether the response must not reveal what was read, as those to requests with credentials: what is hidden from a
   * caller costs no reads, and what does not exist does.
   */
  concealsReads?: boolean;
  /** Announced length of the body, in bytes; unset until the last headers are added. */
  bytes?: number;
}

/** Starts the trace of a request. */
export function beginTrace(): Trace {
  return { id: crypto.randomUUID(), begun: Date.now(), heads: 0, gets: 0, storageTime: 0 };
}

/** Adds the facts of a registry response. One client request may need several. */
export function noteResponse(trace: Trace, { facts, cache, refusal }: RegistryResponse): void {
  if (cache !== null) trace.cache = cache;
  if (facts?.form !== undefined) trace.form = facts.form;
  if (refusal !== null) trace.reason = refusal.reason;
  // A cached response reports the reads of an earlier request.
  if (facts === null || (cache !== null && FROM_CACHE.has(cache))) return;
  trace.heads += facts.head;
  trace.gets += facts.get;
  trace.storageTime += facts.ms;
}

// `UPDATING` and `STALE`: sent from the cache, and refreshed in the background.
const FROM_CACHE: ReadonlySet<string> = new Set(['HIT', 'STALE', 'UPDATING']);
