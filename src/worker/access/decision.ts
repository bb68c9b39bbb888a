import { assertNever } from '../../registry/errors.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmName } from '../../registry/realms.ts';
import { type Caller, mayRead } from './caller.ts';
import type { AccessPolicy } from './policy.ts';

/** What is asked for, as far as access is concerned. */
export type Resource =
  /** `GET /v2/`: where clients learn how to log in, most of them only here. */
  | { readonly kind: 'ping' }
  /** Anything of one repository. */
  | { readonly kind: 'repository'; readonly name: RepositoryName }
  /** Anything that names repositories: catalogue, search, pages that list. */
  | { readonly kind: 'listing' }
  /** Anything else: help pages, the token endpoint. */
  | { readonly kind: 'open' };

/** What is done about it. */
export type Decision =
  /** Answer; `downstream` says whether a cache that others use may keep it. */
  | { readonly kind: 'allow'; readonly realm: RealmName; readonly downstream: 'public' | 'private' }
  /** 401 with a challenge. */
  | { readonly kind: 'challenge'; readonly scope: RepositoryName | null }
  /** Answer as if nothing were there. */
  | { readonly kind: 'hide'; readonly realm: RealmName };

/**
 * Whether the caller's credentials play a part at all: where not, they are not even looked at, and a stale password
 * does not keep anybody from what is public.
 */
export function isOpenToAll(policy: AccessPolicy, resource: Resource): boolean {
  if (policy.protectedRealms.size === 0) return true;
  switch (resource.kind) {
    case 'ping':
      return policy.login === 'none';
    case 'repository':
      return realmOf(policy.realms, resource.name) === PUBLIC_REALM;
    case 'listing':
      return false;
    case 'open':
      return true;
    default:
      return assertNever(resource);
  }
}

/**
 * Decides. Names outside the protected patterns are everybody's, whether they exist or not; within them the name alone
 * decides, so nobody learns what exists.
 */
export function decide(policy: AccessPolicy, caller: Caller, resource: Resource): Decision {
  if (isOpenToAll(policy, resource)) return { kind: 'allow', realm: PUBLIC_REALM, downstream: 'public' };
  const { standing } = caller;
  switch (resource.kind) {
    case 'ping':
      return standing === 'nobody' || standing === 'refused'
        ? { kind: 'challenge', scope: null }
        : { kind: 'allow', realm: PUBLIC_REALM, downstream: 'private' };
    case 'repository': {
      const realm = realmOf(policy.realms, resource.name);
      if (mayRead(policy, caller, resource.name)) return { kind: 'allow', realm, downstream: 'private' };
      return standing === 'known' ? { kind: 'hide', realm } : { kind: 'challenge', scope: resource.name };
    }
    case 'listing':
      if (standing === 'refused') return { kind: 'challenge', scope: null };
      return {
        kind: 'allow',
        realm: PUBLIC_REALM,
        downstream: standing === 'nobody' || standing === 'guest' ? 'public' : 'private',
      };
    case 'open':
      return { kind: 'allow', realm: PUBLIC_REALM, downstream: 'public' };
    default:
      return assertNever(resource);
  }
}
