import { parseRepositoryName } from '../../../registry/name.ts';
import { type Caller, mayRead, secondsLeft } from '../caller.ts';
import { serviceOf } from '../challenge.ts';
import { readCredentials } from '../credentials.ts';
import { GUEST_TOKEN } from '../identify.ts';
import type { AccessClaim } from './jwt.ts';
import type { AccessPolicy } from '../policy.ts';

/**
 * Lifetime of a token, in seconds: long enough to start the last layer of a large image. With the clock leeway of its
 * verification (60 s) a revoked robot token opens nothing after five minutes.
 */
export const TOKEN_LIFETIME = 240;

/** Maximum number of scopes of one request; further ones are not granted. */
export const SCOPES_MAX = 64;

/** The answer of the token endpoint. Docker before 1.11 reads `token` alone. */
export interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  /** Seconds. */
  readonly expires_in: number;
  /** RFC 3339. */
  readonly issued_at: string;
}

/** The requested scopes: `scope` parameters, each with one or several scopes separated by spaces. */
export function readScopes(query: URLSearchParams): readonly AccessClaim[] {
  return query
    .getAll('scope')
    .flatMap((value) => value.split(' '))
    .slice(0, SCOPES_MAX)
    .flatMap((scope) => {
      const [, type, name, actions] = /^([a-z0-9]+):(.+):([a-z*,]+)$/.exec(scope) ?? [];
      return type === undefined || name === undefined || actions === undefined
        ? []
        : [{ type, name, actions: actions.split(',') }];
    });
}

/**
 * The granted scopes: `pull` of what the caller may read, and the catalogue. As the specification says, other scopes
 * are left out and not refused.
 */
export function grant(policy: AccessPolicy, caller: Caller, scopes: readonly AccessClaim[]): readonly AccessClaim[] {
  return scopes.flatMap(({ type, name, actions }): AccessClaim[] => {
    if (type === 'registry' && name === 'catalog') return [{ type, name, actions: ['*'] }];
    const repository = type === 'repository' ? parseRepositoryName(name) : null;
    const pulls = actions.includes('pull') || actions.includes('*');
    return repository !== null && pulls && mayRead(policy, caller, repository)
      ? [{ type, name, actions: ['pull'] }]
      : [];
  });
}

/**
 * Makes the response for a caller whom `authorizeToken` accepted, never beyond the end of their credentials. Without
 * credentials: the guest token. With a robot token: a token of {@link TOKEN_LIFETIME} for the requested scopes if
 * signing keys are configured; otherwise the robot token itself, which works in `Authorization: Bearer` as in Basic.
 */
export async function issueToken(
  policy: AccessPolicy,
  caller: Caller,
  request: {
    readonly query: URLSearchParams;
    readonly authorization: string | null;
    readonly origin: string;
    readonly now: Date;
  },
): Promise<TokenAnswer> {
  const { query, authorization, origin, now } = request;
  const credentials = readCredentials(authorization);
  const lifetime = Math.min(TOKEN_LIFETIME, secondsLeft(caller, now));
  let token = GUEST_TOKEN;
  if (caller.standing === 'known') {
    if (policy.signingKeys !== null) {
      const access = grant(policy, caller, readScopes(query));
      const realms = access.some(({ type }) => type === 'registry') ? [...caller.realms, ...caller.listed] : [];
      const { signToken } = await import('./jwt.ts');
      token = await signToken(policy.signingKeys, {
        subject: caller.name,
        audience: serviceOf(policy, origin),
        access,
        realms,
        issued: now,
        lifetime,
      });
    } else if (credentials.kind === 'basic') token = credentials.password;
    else if (credentials.kind === 'bearer') token = credentials.token;
  }
  return { token, access_token: token, expires_in: lifetime, issued_at: now.toISOString() };
}
