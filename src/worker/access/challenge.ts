import type { RepositoryName } from '../../registry/name.ts';
import type { AccessPolicy } from './policy.ts';

/** Path of the built-in token endpoint. */
export const TOKEN_PATH = '/token';

/** What a challenge depends on, beside the policy. */
export interface ChallengeFacts {
  /** Scheme and host of the client's request, e.g. `https://registry.example`. */
  readonly origin: string;
  /** The requested repository; null for `/v2/` and lists. */
  readonly scope: RepositoryName | null;
  /** Whether the client presented credentials that were rejected. */
  readonly refused: boolean;
  /** Whether the client is a person with a browser: browsers support Basic only. */
  readonly page?: boolean;
}

/**
 * The value of `WWW-Authenticate`, always a single challenge: Docker tries all of them and stops at a Basic challenge
 * without a password for it, even beside a Bearer challenge that it could use.
 */
export function challengeOf(policy: AccessPolicy, { origin, scope, refused, page = false }: ChallengeFacts): string {
  const service = quoted(serviceOf(policy, origin));
  if (page || policy.login === 'basic') return `Basic realm=${service}, charset="UTF-8"`;
  const parts = [`realm=${quoted(policy.authority ?? origin + TOKEN_PATH)}`, `service=${service}`];
  if (scope !== null) parts.push(`scope="repository:${scope}:pull"`);
  // RFC 6750, section 3.1: only if a token was presented.
  if (refused) parts.push('error="invalid_token"');
  return `Bearer ${parts.join(',')}`;
}

/** A quoted string (RFC 9110, section 5.6.4): the client's Host may contain quotes, which would begin a parameter. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** The registry's name in challenges, and the audience of its own tokens. */
export function serviceOf(policy: Pick<AccessPolicy, 'service'>, origin: string): string {
  return policy.service ?? new URL(origin).host;
}
