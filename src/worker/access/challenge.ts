import type { RepositoryName } from '../../registry/name.ts';
import type { AccessPolicy } from './policy.ts';

/** Path of the built-in token endpoint. */
export const TOKEN_PATH = '/token';

/** What a challenge depends on beside the policy. */
export interface ChallengeFacts {
  /** Scheme and host that the client asked, e.g. `https://registry.example`. */
  readonly origin: string;
  /** The repository that was asked for; null on `/v2/` and lists. */
  readonly scope: RepositoryName | null;
  /** Whether credentials were presented and refused. */
  readonly refused: boolean;
  /** Whether a person with a browser asks: browsers know how to ask for Basic credentials only. */
  readonly page?: boolean;
}

/**
 * The value of `WWW-Authenticate`. Always one challenge: Docker goes through all that are offered and stops at a Basic
 * one that it has no password for, even beside a Bearer one that it could use.
 */
export function challengeOf(policy: AccessPolicy, { origin, scope, refused, page = false }: ChallengeFacts): string {
  const service = serviceOf(policy, origin);
  if (page || policy.login === 'basic') return `Basic realm="${service}", charset="UTF-8"`;
  const parts = [`realm="${policy.authority ?? origin + TOKEN_PATH}"`, `service="${service}"`];
  if (scope !== null) parts.push(`scope="repository:${scope}:pull"`);
  // RFC 6750, section 3.1: only where a token was presented.
  if (refused) parts.push('error="invalid_token"');
  return `Bearer ${parts.join(',')}`;
}

/** The registry's name in challenges and in the audience of its own tokens. */
export function serviceOf(policy: Pick<AccessPolicy, 'service'>, origin: string): string {
  return policy.service ?? new URL(origin).host;
}
