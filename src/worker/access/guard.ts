import { PUBLIC_REALM, type RealmName } from '../../registry/realms.ts';
import { type AccessFacts, authorize, type Outcome } from './authorize.ts';
import { type Caller, callerWithout } from './caller.ts';
import type { Resource } from './decision.ts';
import type { RateLimiter } from './login-limit.ts';
import type { AccessPolicy } from './policy.ts';

/** What the answering side may look at. */
export interface Grant {
  /** Whose blobs are looked at. */
  readonly realm: RealmName;
  /** Answer as if the store were empty. */
  readonly hidden: boolean;
  /** Who asks, for lists; nobody where it does not matter, so that a cache behind may share the answer. */
  readonly caller: Caller;
}

/** How the guard is connected. */
export interface GuardOptions {
  readonly policy: AccessPolicy;
  readonly limiter: RateLimiter | null;
  /** Answers what may be answered. */
  readonly answer: (grant: Grant) => Promise<Response>;
  /** Makes the answer for a reason of the table. */
  readonly refuse: (
    reason: Extract<Outcome, { kind: 'refuse' }>['reason'],
    headers: Readonly<Record<string, string>>,
  ) => Response;
  readonly now?: Date;
}

/**
 * Stands before everything that is answered: asks who may have what, and sees to it that caches on the way keep nothing
 * that is not everybody's.
 */
export function guard(facts: AccessFacts, resource: Resource, options: GuardOptions): Promise<Response> {
  // Where nothing is protected, there is nothing to ask.
  return options.policy.protectedRealms.size === 0 ? options.answer(EVERYBODYS) : ask(facts, resource, options);
}

const EVERYBODYS: Grant = { realm: PUBLIC_REALM, hidden: false, caller: callerWithout('nobody') };

async function ask(
  facts: AccessFacts,
  resource: Resource,
  { policy, limiter, answer, refuse, now }: GuardOptions,
): Promise<Response> {
  const outcome = await authorize(policy, limiter, facts, resource, now);
  if (outcome.kind === 'refuse') return refuse(outcome.reason, outcome.headers);
  const grant =
    outcome.kind === 'hide'
      ? hiddenGrant(outcome.realm)
      : { realm: outcome.realm, hidden: false, caller: outcome.caller };
  const response = await answer(grant);
  // Every answer to a request with credentials is private, so that those of hidden repositories look like all others.
  const isPrivate = outcome.kind === 'hide' || outcome.downstream === 'private' || outcome.presented;
  const varies = resource.kind === 'listing' && policy.protectedRealms.size > 0;
  return isPrivate || varies ? forCaches(response, isPrivate, varies) : response;
}

function hiddenGrant(realm: RealmName): Grant {
  return { realm, hidden: true, caller: callerWithout('nobody') };
}

function forCaches(response: Response, isPrivate: boolean, varies: boolean): Response {
  const headers = new Headers(response.headers);
  if (isPrivate) {
    headers.set('cache-control', privately(headers.get('cache-control')));
    for (const name of SHARED_CACHE_HEADERS) headers.delete(name);
  }
  if (varies) headers.append('vary', 'Authorization');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** Headers that speak to shared caches only. */
const SHARED_CACHE_HEADERS = [
  'cdn-cache-control',
  'cloudflare-cdn-cache-control',
  'surrogate-control',
  'cache-tag',
  'surrogate-key',
  'expires',
] as const;

/**
 * A `Cache-Control` (RFC 9111, section 5.2.2) that says the same to the client's own cache and forbids it to all
 * others. Nothing, or what cannot be read, becomes `no-store`.
 */
export function privately(cacheControl: string | null): string {
  const directives = (cacheControl ?? '').split(',').flatMap((part) => {
    const directive = part.trim();
    return /^(?:|public|s-maxage=.*|proxy-revalidate|private(?:=.*)?)$/i.test(directive) ? [] : [directive];
  });
  if (directives.length === 0 || directives.some((directive) => /^no-store$/i.test(directive)))
    return 'private, no-store';
  return ['private', ...directives].join(', ');
}
