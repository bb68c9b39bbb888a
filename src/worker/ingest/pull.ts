/** The context of filling a repository, and what all kinds of requests share. */
import { OriginError } from '../../origin/errors.ts';
import type { Signer } from '../../manifest/image.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { RealmName } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import { logFailure } from '../log/event.ts';
import { type Refused, refused } from '../gateway/answer.ts';
import type { AnswerStored } from './stored-answer.ts';
import type { OriginRule } from './origins.ts';
import type { StorageRetryPolicy } from '../../bucket/retry.ts';
import { type SingleFlight, within } from './single-flight.ts';
import type { RateLimiter } from '../access/login-limit.ts';
import type { Urgency } from './fill-slots.ts';
import type { GuardedWrites } from '../storage/guarded-writes.ts';
import { forgetUpstream, type Outage, type Upstream } from './upstream.ts';

/** What is needed to fill a repository. */
export interface FillContext {
  readonly rule: OriginRule;
  readonly realm: RealmName;
  readonly bucket: R2Bucket;
  readonly store: WriteStore;
  readonly retry: StorageRetryPolicy;
  /** PEM or JWK of the key that signs derived schema 1 manifests; null: none are derived. */
  readonly signingKey: string | null;
  readonly answerStored: AnswerStored;
  /** Counts the fills that a client starts; null: they are not counted. */
  readonly fillLimiter: RateLimiter | null;
  /** The client's address; null where the platform does not give it. */
  readonly client: string | null;
  /** Keeps work alive after the response, and after the client disconnects. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** One request to a filled repository. */
export interface Pull extends Omit<FillContext, 'signingKey'> {
  readonly signer: Signer | null;
  readonly urgency: Urgency;
  readonly upstream: Upstream;
  /** The name of the repository at the upstream. */
  readonly remote: RepositoryName;
  readonly settings: GuardedWrites['settings'];
}

/** Milliseconds for `Retry-After` if the upstream sends none, and at most. */
const WAIT = { otherwise: 5_000, most: 300_000 } as const;

/** How long to send no requests to an upstream after an error, in milliseconds. */
function waitOf({ retryAfter }: OriginError): number {
  return Math.min(Math.max(retryAfter ?? WAIT.otherwise, 1_000), WAIT.most);
}

/** The answer where an upstream fails and nothing is stored. */
export function refuseUnavailable({ name }: OriginRule, error: OriginError): Refused {
  return refused('upstream-unavailable', {
    detail: { upstream: name, code: error.code },
    headers: { 'retry-after': String(Math.ceil(waitOf(error) / 1000)) },
  });
}

/** Logs an upstream's failure, and pauses requests to it if it limits them. */
export function noteOutage(upstream: Upstream, error: OriginError, about: string): Outage {
  const { rule, limited } = upstream;
  const { code, message } = error;
  logFailure('upstream-unavailable', { upstream: rule.name, code, status: error.status, message, about });
  const now = Date.now();
  if (code === 'ORIGIN_RATE_LIMITED' && limited.get('', now) === undefined)
    limited.set('', { code, message, until: now + waitOf(error) }, now + waitOf(error));
  return { code, message };
}

/** Throws {@link OriginError} while the upstream limits requests: every further one would prolong that. */
export function unlessLimited({ limited }: Upstream): void {
  const now = Date.now();
  const limit = limited.get('', now);
  if (limit !== undefined)
    throw new OriginError('ORIGIN_RATE_LIMITED', limit.message, { status: 429, retryAfter: limit.until - now });
}

/** Whether the upstream limits requests now. */
export function isLimited({ limited }: Upstream): boolean {
  return limited.get('', Date.now()) !== undefined;
}

/** Milliseconds that a negative answer of the upstream is cached. */
const UNKNOWN_FOR = 5_000;

/** Caches that the upstream does not have something. */
export function cacheAbsence({ unknown }: Upstream, what: string): void {
  unknown.set(what, true, Date.now() + UNKNOWN_FOR);
}

/** Whether the upstream answered recently that it does not have it. */
export function isNegativelyCached({ unknown }: Upstream, what: string): boolean {
  return unknown.get(what, Date.now()) === true;
}

/** Milliseconds to wait for another request's fetch: longer than any timeout of an upstream. */
const FOLLOW = 90_000;

/** The result of this or another request's fetch. Throws {@link OriginError} after the limit. */
export async function waitFor<V>(
  { rule }: Pick<Pull, 'rule'>,
  flights: SingleFlight<V>,
  key: string,
  flight: Promise<V>,
): Promise<V> {
  const result = await within(FOLLOW, flight, LATE);
  if (result !== LATE) return result;
  flights.end(key, flight);
  forgetUpstream(rule);
  throw new OriginError('ORIGIN_UNAVAILABLE', `${rule.upstream.host} did not answer in time`);
}

const LATE = Symbol('late');
