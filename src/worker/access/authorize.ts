import type { Reason } from '../../registry/errors.ts';
import type { RealmName } from '../../registry/realms.ts';
import { logFailure } from '../log/event.ts';
import { type Caller, callerWithout, secondsLeft } from './caller.ts';
import type { ClientCertificate } from './certificate.ts';
import { challengeOf } from './challenge.ts';
import { decide, isOpenToAll, type Resource } from './decision.ts';
import { identify, type IdentifyOptions, type Presented, presentsAnything } from './identify.ts';
import { LOGIN_RETRY_AFTER, type RateLimiter, tooManyFailures } from './login-limit.ts';
import type { AccessPolicy } from './policy.ts';

/** The facts of a request that access depends on. */
export interface AccessFacts extends Presented {
  /** Scheme and host of the client's request. */
  readonly origin: string;
  /** The client's address; null if unknown. */
  readonly address: string | null;
  /** Whether the client is a person with a browser. */
  readonly page: boolean;
}

/** The result of authorization. */
export type Outcome =
  | {
      readonly kind: 'allow';
      readonly realm: RealmName;
      /** Whether shared caches may store the response. */
      readonly downstream: 'public' | 'private';
      /** The caller; nobody if the response does not depend on it. */
      readonly caller: Caller;
      /**
       * Whether the request has credentials, used or not. Responses to such requests must look like that of a hidden
       * repository.
       */
      readonly presented: boolean;
    }
  /** Answer as if the realm were empty. */
  | { readonly kind: 'hide'; readonly realm: RealmName }
  /** Refuse with the reason and these headers. */
  | {
      readonly kind: 'refuse';
      readonly reason: Extract<Reason, 'unauthorized' | 'too-many-requests' | 'authority-unavailable'>;
      readonly headers: Readonly<Record<string, string>>;
    };

/**
 * The facts of a request, each read on demand: most requests are for public repositories and need neither address nor
 * certificate. `origin`: scheme and host of the client's request, if they differ from those of its URL.
 */
export function accessFactsOf(request: Request, page = false, origin?: string): AccessFacts {
  return new RequestFacts(request, page, origin);
}

class RequestFacts implements AccessFacts {
  readonly #request: Request;
  readonly #origin: string | undefined;
  readonly page: boolean;

  constructor(request: Request, page: boolean, origin: string | undefined) {
    this.#request = request;
    this.#origin = origin;
    this.page = page;
  }

  get origin(): string {
    return this.#origin ?? new URL(this.#request.url).origin;
  }

  get authorization(): string | null {
    return this.#request.headers.get('authorization');
  }

  get certificate(): ClientCertificate | null {
    const cf = this.#request.cf as { tlsClientAuth?: ClientCertificate } | undefined;
    return cf?.tlsClientAuth ?? null;
  }

  get address(): string | null {
    return this.#request.headers.get('cf-connecting-ip');
  }
}

/** Decides about a request, before anything is read from storage. */
export async function authorize(
  policy: AccessPolicy,
  limiter: RateLimiter | null,
  facts: AccessFacts,
  resource: Resource,
  now = new Date(),
): Promise<Outcome> {
  const presented = policy.protectedRealms.size > 0 && presentsAnything(policy, facts);
  const found = isOpenToAll(policy, resource) ? callerWithout('nobody') : await callerOf(policy, limiter, facts, now);
  if ('kind' in found) return found;
  const decision = decide(policy, found, resource);
  if (decision.kind !== 'challenge')
    return decision.kind === 'hide' ? decision : { ...decision, caller: found, presented };
  return challenge(policy, facts, decision.scope, found.standing === 'refused');
}

/**
 * The caller of `/token`, or a refusal. Our own tokens are rejected, because a token that renews itself could not be
 * revoked; so are credentials at or past their end, which the clock leeway accepts elsewhere. A caller whose
 * credentials were rejected gets a Basic challenge, because a Bearer challenge would lead back to `/token`.
 */
export async function authorizeToken(
  policy: AccessPolicy,
  limiter: RateLimiter | null,
  facts: AccessFacts,
  now = new Date(),
): Promise<Caller | Extract<Outcome, { kind: 'refuse' }>> {
  const found = await callerOf(policy, limiter, facts, now, { ownTokens: false });
  if ('kind' in found) return found;
  return found.standing !== 'refused' && secondsLeft(found, now) >= 1
    ? found
    : challenge(policy, { origin: facts.origin, page: true }, null, true);
}

type Refusal = Extract<Outcome, { kind: 'refuse' }>;

async function callerOf(
  policy: AccessPolicy,
  limiter: RateLimiter | null,
  facts: AccessFacts,
  now: Date,
  options?: IdentifyOptions,
): Promise<Caller | Refusal> {
  const caller = await identify(policy, facts, facts.origin, now, options).catch(keysUnavailable);
  if ('kind' in caller || caller.standing !== 'refused') return caller;
  if (!(await tooManyFailures(limiter, facts.address))) return caller;
  return { kind: 'refuse', reason: 'too-many-requests', headers: { 'retry-after': String(LOGIN_RETRY_AFTER) } };
}

async function keysUnavailable(error: unknown): Promise<Refusal> {
  const { KeysUnavailableError } = await import('./tokens/jwt.ts');
  if (!(error instanceof KeysUnavailableError)) throw error;
  // The message contains the address of the key set, and nothing of the token.
  logFailure('authority-unavailable', { message: error.message, cause: String(error.cause) });
  return { kind: 'refuse', reason: 'authority-unavailable', headers: { 'retry-after': '10' } };
}

function challenge(
  policy: AccessPolicy,
  { origin, page }: Pick<AccessFacts, 'origin' | 'page'>,
  scope: Parameters<typeof challengeOf>[1]['scope'],
  refused: boolean,
): Refusal {
  return {
    kind: 'refuse',
    reason: 'unauthorized',
    headers: { 'www-authenticate': challengeOf(policy, { origin, scope, refused, page }) },
  };
}
