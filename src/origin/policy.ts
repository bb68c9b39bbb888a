/** Limits of the client and its decisions on redirects and token services. `transport.ts` carries them out. */
import type { RetryPolicy } from '../http/retry.ts';
import { mayLeadTo } from './network.ts';
import { refuseTokenService } from './token-services.ts';

/** Limits of the client. */
export interface OriginPolicy extends RetryPolicy {
  /** Most redirects of one request. */
  readonly maxRedirects: number;
  /** Largest list page or token response that is read, in bytes; manifests have a lower limit. */
  readonly maxDocument: number;
  /** Most pages of a list. */
  readonly maxPages: number;
  /** Whether a redirect may be followed. Called only for redirects that pass the fixed rules. */
  readonly allowRedirect: (from: URL, to: URL) => boolean;
  /** Token services on other hosts that may receive the credentials. */
  readonly tokenServices: readonly URL[];
}

/** The defaults. */
export const DEFAULT_POLICY: OriginPolicy = {
  maxRedirects: 5,
  attempts: 4,
  backoff: 500,
  maxBackoff: 10_000,
  maxRetryAfter: 60_000,
  maxDocument: 8 * 1024 * 1024,
  maxPages: 10_000,
  allowRedirect: () => true,
  tokenServices: [],
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

/** Why the token service may not be asked; null if it may. `withCredentials`: whether it would receive them. */
export function refuseRealm(
  registry: URL,
  realm: string,
  withCredentials: boolean,
  { tokenServices }: Pick<OriginPolicy, 'tokenServices'>,
): string | null {
  if (!URL.canParse(realm)) return 'its token service has no readable address';
  const url = new URL(realm);
  const isNamed = tokenServices.some(({ origin }) => origin === url.origin);
  const problem =
    problemOf(registry, url, isNamed) ?? (withCredentials ? refuseTokenService(registry, url, tokenServices) : null);
  return problem === null ? null : `its token service ${problem}`;
}

function problemOf(from: URL, to: URL, isNamed = false): string | null {
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return `leads to ${to.protocol}`;
  if (from.protocol === 'https:' && to.protocol !== 'https:') return `leads from https to plain http (${to.host})`;
  if (!isNamed && !mayLeadTo(from, to)) return `leads to ${to.host}, which is in the network of this machine`;
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
