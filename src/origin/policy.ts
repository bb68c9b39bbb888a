/** Limits of the client and its decisions on redirects, token services and retries. `transport.ts` carries them out. */

/** Limits of the client. */
export interface OriginPolicy {
  /** Most redirects of one request. */
  readonly maxRedirects: number;
  /** Most attempts of one request. 1: no retries. */
  readonly attempts: number;
  /** Delay before the second attempt, in milliseconds. It doubles with each attempt, with jitter in its upper half. */
  readonly backoff: number;
  /** Longest delay that the backoff reaches, in milliseconds. */
  readonly maxBackoff: number;
  /** Longest `Retry-After` that is respected, in milliseconds. A longer one ends the attempts. */
  readonly maxRetryAfter: number;
  /** Largest manifest, list page or token response that is read, in bytes. */
  readonly maxDocument: number;
  /** Most pages of a list. */
  readonly maxPages: number;
  /** Whether a redirect may be followed. Called only for redirects that pass the fixed rules. */
  readonly allowRedirect: (from: URL, to: URL) => boolean;
  /** Whether the token service may receive the credentials. Called only for services that pass the fixed rules. */
  readonly allowRealm: (registry: URL, realm: URL) => boolean;
}

/** The defaults. distribution and containers/image read manifests up to 4 MiB; list pages and indexes may be larger. */
export const DEFAULT_POLICY: OriginPolicy = {
  maxRedirects: 5,
  attempts: 4,
  backoff: 500,
  maxBackoff: 10_000,
  maxRetryAfter: 60_000,
  maxDocument: 8 * 1024 * 1024,
  maxPages: 10_000,
  allowRedirect: () => true,
  allowRealm: () => true,
};

/** Milliseconds to wait for a response's headers (and, for documents, its body), and for the next bytes of a blob. */
export interface OriginTimeouts {
  readonly answer: number;
  readonly idle: number;
}

/** The defaults. */
export const DEFAULT_TIMEOUTS: OriginTimeouts = { answer: 30_000, idle: 60_000 };

/** A decision on a redirect. */
export type RedirectDecision =
  | {
      readonly kind: 'follow';
      readonly url: URL;
      /** Whether the next request may carry the credentials. */ readonly keepCredentials: boolean;
    }
  | { readonly kind: 'refuse'; readonly why: string };

/** Decides on a redirect. Credentials are never sent to another origin (scheme, host and port). */
export function decideRedirect(from: URL, location: string | null, policy: OriginPolicy): RedirectDecision {
  if (location === null || !URL.canParse(location, from))
    return { kind: 'refuse', why: 'the redirect has no readable Location' };
  const url = new URL(location, from);
  url.hash = '';
  const problem = problemOf(from, url);
  if (problem !== null) return { kind: 'refuse', why: `the redirect ${problem}` };
  if (!policy.allowRedirect(from, url)) return { kind: 'refuse', why: `redirects to ${url.origin} are not allowed` };
  return { kind: 'follow', url, keepCredentials: url.origin === from.origin };
}

/** Why the token service may not receive the registry's credentials; null if it may. */
export function refuseRealm(registry: URL, realm: string, policy: OriginPolicy): string | null {
  if (!URL.canParse(realm)) return 'its token service has no readable address';
  const url = new URL(realm);
  const problem = problemOf(registry, url);
  if (problem !== null) return `its token service ${problem}`;
  return policy.allowRealm(registry, url) ? null : `the token service ${url.origin} is not allowed`;
}

function problemOf(from: URL, to: URL): string | null {
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return `leads to ${to.protocol}`;
  if (from.protocol === 'https:' && to.protocol !== 'https:') return `leads from https to plain http (${to.host})`;
  if (to.username !== '' || to.password !== '') return 'has a password in its address';
  return null;
}

/**
 * The next page of a list. `next` is the target of a `Link` with `rel="next"`. Registries behind a proxy write absolute
 * links with their internal scheme and port, so only path and query are used. Null if the host is another one.
 */
export function nextPage(from: URL, next: string): URL | null {
  if (!URL.canParse(next, from)) return null;
  const target = new URL(next, from);
  if (target.hostname !== from.hostname || target.username !== '' || target.password !== '') return null;
  const url = new URL(from);
  url.pathname = target.pathname;
  url.search = target.search;
  return url;
}

/** Whether the same request may succeed later (RFC 9110, section 15; CDNs use 520 and up). 501 and 505 are final. */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** Reads `Retry-After` (RFC 9110, section 10.2.3): milliseconds from `now`; undefined if it is absent or invalid. */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse accepts more than HTTP dates, which all begin with the name of a day.
  const date = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** The delay after attempt `attempt` (from 1), in milliseconds; null to give up. `random` in [0, 1). */
export function retryDelay(
  attempt: number,
  retryAfter: number | undefined,
  random: number,
  policy: OriginPolicy,
): number | null {
  if (attempt >= policy.attempts) return null;
  if (retryAfter !== undefined && retryAfter > policy.maxRetryAfter) return null;
  const ceiling = Math.min(policy.maxBackoff, policy.backoff * 2 ** (attempt - 1));
  // Never earlier than `Retry-After`. The jitter spreads the retries of many clients.
  return Math.max(retryAfter ?? 0, 0) + ceiling * (retryAfter === undefined ? 0.5 + random / 2 : random / 4);
}
