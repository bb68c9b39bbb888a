import type { Reason } from '../../registry/errors.ts';
import type { RealmName } from '../../registry/realms.ts';
import { type Caller, callerWithout } from './caller.ts';
import type { ClientCertificate } from './certificate.ts';
import { challengeOf } from './challenge.ts';
import { decide, isOpenToAll, type Resource } from './decision.ts';
import { identify, type Presented, presentsAnything } from './identify.ts';
import { LOGIN_RETRY_AFTER, type RateLimiter, tooManyFailures } from './login-limit.ts';
import type { AccessPolicy } from './policy.ts';

/** What is looked at of a request. */
export interface AccessFacts extends Presented {
  /** Scheme and host that the client asked. */
  readonly origin: string;
  /** The client's address; null where nobody says. */
  readonly address: string | null;
  /** Whether a person with a browser asks. */
  readonly page: boolean;
}

/** What the gateway does with a request. */
export type Outcome =
  | {
      readonly kind: 'allow';
      readonly realm: RealmName;
      /** Whether a cache that others use may keep the answer. */
      readonly downstream: 'public' | 'private';
      /** Who asks; nobody where it does not matter. */
      readonly caller: Caller;
      /**
       * Whether credentials came with the request, looked at or not: answers to such a request must look like that of a
       * hidden repository.
       */
      readonly presented: boolean;
    }
  /** Answer as if nothing were in the realm. */
  | { readonly kind: 'hide'; readonly realm: RealmName }
  /** Answer with the reason and these headers. */
  | {
      readonly kind: 'refuse';
      readonly reason: Extract<Reason, 'unauthorized' | 'too-many-requests' | 'authority-unavailable'>;
      readonly headers: Readonly<Record<string, string>>;
    };

/**
 * Reads what matters here of a request, as it is asked for: most requests are for what is everybody's, and neither
 * their address nor their certificate matters. `origin`: scheme and host that the client asked, if not those of the
 * request.
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

/** Who may have what: the one question that the gateway asks before anything is read. */
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
 * Who asks, for `/token`; or why that is not said. A caller who was refused there is challenged with Basic: a Bearer
 * challenge would lead back to the same place.
 */
export async function authorizeToken(
  policy: AccessPolicy,
  limiter: RateLimiter | null,
  facts: AccessFacts,
  now = new Date(),
): Promise<Caller | Extract<Outcome, { kind: 'refuse' }>> {
  const found = await callerOf(policy, limiter, facts, now);
  return 'kind' in found || found.standing !== 'refused'
    ? found
    : challenge(policy, { origin: facts.origin, page: true }, null, true);
}

type Refusal = Extract<Outcome, { kind: 'refuse' }>;

async function callerOf(
  policy: AccessPolicy,
  limiter: RateLimiter | null,
  facts: AccessFacts,
  now: Date,
): Promise<Caller | Refusal> {
  const caller = await identify(policy, facts, facts.origin, now).catch(async (error: unknown): Promise<Refusal> => {
    const { KeysUnavailableError } = await import('./tokens/jwt.ts');
    if (!(error instanceof KeysUnavailableError)) throw error;
    // The token is not in the message, only the address of the key set.
    console.error(
      JSON.stringify({ event: 'authority-unavailable', message: error.message, cause: String(error.cause) }),
    );
    return { kind: 'refuse', reason: 'authority-unavailable', headers: { 'retry-after': '10' } };
  });
  if ('kind' in caller || caller.standing !== 'refused') return caller;
  if (!(await tooManyFailures(limiter, facts.address))) return caller;
  return { kind: 'refuse', reason: 'too-many-requests', headers: { 'retry-after': String(LOGIN_RETRY_AFTER) } };
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
