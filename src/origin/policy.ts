/** What the client does on its own, and how far it goes: redirects, waiting, sizes. Decisions only; `transport.ts` acts on them. */
import type { RetryPolicy } from '../http/retry.ts';

/** How far to go. */
export interface OriginPolicy extends RetryPolicy {
  /** Most redirects followed for one answer. */
  readonly maxRedirects: number;
  /** Largest manifest, list of tags page or token that is read, in bytes. */
  readonly maxDocument: number;
  /** Most pages of a list. */
  readonly maxPages: number;
  /** Whether a redirect may be followed to that address; `from` is where it was sent from. Asked after the rules that always hold. */
  readonly allowRedirect: (from: URL, to: URL) => boolean;
  /** Whether the credentials may be shown to that token service. Asked after the rules that always hold. */
  readonly allowRealm: (registry: URL, realm: URL) => boolean;
}

/** What holds unless told otherwise. 4 MiB is what distribution and containers/image read at most of a manifest; a list page or an index may be larger. */
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

/** Milliseconds to wait for an answer's head (and, for documents, its body), and for the next bytes of a blob. */
export interface OriginTimeouts {
  readonly answer: number;
  readonly idle: number;
}

/** What holds unless told otherwise. */
export const DEFAULT_TIMEOUTS: OriginTimeouts = { answer: 30_000, idle: 60_000 };

/** What to do with a redirect. */
export type RedirectDecision =
  | {
      readonly kind: 'follow';
      readonly url: URL;
      /** Whether our credentials may go along. */ readonly keepCredentials: boolean;
    }
  | { readonly kind: 'refuse'; readonly why: string };

/** Decides on a redirect from `from` to what `Location` says. Credentials stay with the origin (scheme, host and port) that they were meant for. */
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

/** What is wrong with showing the registry's credentials to this token service; null if nothing is. */
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
 * Where a list goes on: `next` is the target of a `Link` with `rel="next"`. Registries behind a proxy write absolute links with the scheme and port that they see
 * themselves, so only path and query are taken, and only if the host is the one that was asked. Null: the link leads elsewhere.
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

/** Statuses after which the same question may be answered (RFC 9110 §15; 520 and up are those of CDNs). 501 and 505 are final. */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}
