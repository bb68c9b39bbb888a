import { PUBLIC_REALM, type RealmName } from '../../registry/realms.ts';
import { type AccessFacts, authorize, type Outcome } from './authorize.ts';
import { type Caller, callerWithout } from './caller.ts';
import type { Resource } from './decision.ts';
import type { RateLimiter } from './login-limit.ts';
import type { AccessPolicy } from './policy.ts';

/** What the caller may read. */
export interface Grant {
  /** The realm whose blobs are read. */
  readonly realm: RealmName;
  /** Answer as if the bucket were empty. */
  readonly hidden: boolean;
  /** Whether the response is for this caller alone. */
  readonly isPrivate: boolean;
  /** The caller, for lists; nobody if it does not matter, so that callers share cache entries. */
  readonly caller: Caller;
}

/** Options of {@link guard}. */
export interface GuardOptions {
  readonly policy: AccessPolicy;
  readonly limiter: RateLimiter | null;
  /** Makes the response for what was granted. */
  readonly answer: (grant: Grant) => Promise<Response>;
  /** Makes the response for a refusal. */
  readonly refuse: (
    reason: Extract<Outcome, { kind: 'refuse' }>['reason'],
    headers: Readonly<Record<string, string>>,
  ) => Response;
  readonly now?: Date;
}

/**
 * Checks access before anything is answered, and marks responses that are not public, so that caches on the way to the
 * client do not share them.
 */
export function guard(facts: AccessFacts, resource: Resource, options: GuardOptions): Promise<Response> {
  // Without protected repositories there is nothing to check.
  return options.policy.protectedRealms.size === 0 ? options.answer(PUBLIC_GRANT) : check(facts, resource, options);
}

const PUBLIC_GRANT: Grant = { realm: PUBLIC_REALM, hidden: false, isPrivate: false, caller: callerWithout('nobody') };

async function check(
  facts: AccessFacts,
  resource: Resource,
  { policy, limiter, answer, refuse, now }: GuardOptions,
): Promise<Response> {
  const outcome = await authorize(policy, limiter, facts, resource, now);
  if (outcome.kind === 'refuse') return refuse(outcome.reason, outcome.headers);
  // Every response to a request with credentials is private, so that responses for hidden repositories look the same.
  const isPrivate = outcome.kind === 'hide' || outcome.downstream === 'private' || outcome.presented;
  const { realm } = outcome;
  const response = await answer(
    outcome.kind === 'hide'
      ? { realm, hidden: true, isPrivate, caller: callerWithout('nobody') }
      : { realm, hidden: false, isPrivate, caller: outcome.caller },
  );
  const varies = resource.kind === 'listing' && policy.protectedRealms.size > 0;
  return isPrivate || varies ? forCaches(response, isPrivate, varies) : response;
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

/** Headers for shared caches only. */
const SHARED_CACHE_HEADERS = [
  'cdn-cache-control',
  'cloudflare-cdn-cache-control',
  'surrogate-control',
  'cache-tag',
  'surrogate-key',
  'expires',
] as const;

/**
 * A `Cache-Control` (RFC 9111, section 5.2.2) with the same directives for the client's own cache, and without shared
 * caching. An empty or unreadable value becomes `no-store`.
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
