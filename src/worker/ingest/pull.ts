/** What filling a repository works with, and what all kinds of questions have in common. */
import { OriginError } from '../../origin/errors.ts';
import type { Signer } from '../../manifest/image.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { RealmName } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import type { AnswerStored } from './stored-answer.ts';
import type { OriginRule } from './origins.ts';
import type { StorageRetryPolicy } from '../../bucket/retry.ts';
import { type SingleFlight, within } from './single-flight.ts';
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
  /** For what goes on after the answer, and where the client leaves before it. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** One question to a repository that is filled. */
export interface Pull extends Omit<FillContext, 'signingKey'> {
  readonly signer: Signer | null;
  readonly upstream: Upstream;
  /** What the repository is called upstream. */
  readonly remote: RepositoryName;
}

/** Milliseconds after which a question may be asked again where the upstream says nothing of it, and the most that is passed on of what it says. */
const WAIT = { otherwise: 5_000, most: 300_000 } as const;

/** How long to leave an upstream alone after an error, in milliseconds. */
export function waitOf({ retryAfter }: OriginError): number {
  return Math.min(Math.max(retryAfter ?? WAIT.otherwise, 1_000), WAIT.most);
}

/** Logs that an upstream could not be asked, and leaves it alone where it wants that. */
export function noteOutage(upstream: Upstream, error: OriginError, about: string): Outage {
  const { rule, limited } = upstream;
  const { code, message } = error;
  console.error(
    JSON.stringify({ event: 'upstream-unavailable', upstream: rule.name, code, status: error.status, message, about }),
  );
  const now = Date.now();
  if (code === 'ORIGIN_RATE_LIMITED' && limited.get('', now) === undefined)
    limited.set('', { code, message, until: now + waitOf(error) }, now + waitOf(error));
  return { code, message };
}

/** Throws {@link OriginError} while the upstream wants to be left alone: every further question would prolong that. */
export function unlessLimited({ limited }: Upstream): void {
  const now = Date.now();
  const limit = limited.get('', now);
  if (limit !== undefined)
    throw new OriginError('ORIGIN_RATE_LIMITED', limit.message, { status: 429, retryAfter: limit.until - now });
}

/** Milliseconds for which it is believed that the upstream does not have something. */
const UNKNOWN_FOR = 5_000;

/** Remembers, for seconds, that the upstream does not have something. */
export function cacheAbsence({ unknown }: Upstream, what: string): void {
  unknown.set(what, true, Date.now() + UNKNOWN_FOR);
}

/** Whether the upstream said a moment ago that it does not have it. */
export function isNegativelyCached({ unknown }: Upstream, what: string): boolean {
  return unknown.get(what, Date.now()) === true;
}

/** Milliseconds that a request waits for what another one fetches. Longer than any upstream may take to be given up. */
const FOLLOW = 90_000;

/** What another request fetches, or this one. Throws {@link OriginError} if it takes so long that it will not come any more. */
export async function waitFor<V>(
  { rule }: Pull,
  flights: SingleFlight<V>,
  key: string,
  flight: Promise<V>,
): Promise<V> {
  const result = await within(FOLLOW, flight, LATE);
  if (result !== LATE) return result;
  flights.end(key, flight);
  forgetUpstream(rule);
  throw new OriginError('ORIGIN_UNAVAILABLE', `${rule.upstream.host} was waited for too long`);
}

const LATE = Symbol('late');
