import { assertNever } from '../../registry/errors.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmName } from '../../registry/realms.ts';
import { type Caller, mayRead } from './caller.ts';
import type { AccessPolicy } from './policy.ts';

/** The requested resource, as far as access is concerned. */
export type Resource =
  /** `GET /v2/`, where most clients learn how to log in. */
  | { readonly kind: 'ping' }
  /** A resource of one repository. */
  | { readonly kind: 'repository'; readonly name: RepositoryName }
  /** A list of repositories: catalogue, search, pages with lists. */
  | { readonly kind: 'listing' }
  /** Everything else: help pages, the token endpoint. */
  | { readonly kind: 'open' };

/** The access decision. */
export type Decision =
  /** Answer; `downstream` says whether shared caches may store the response. */
  | { readonly kind: 'allow'; readonly realm: RealmName; readonly downstream: 'public' | 'private' }
  /** 401 with a challenge. */
  | { readonly kind: 'challenge'; readonly scope: RepositoryName | null }
  /** Answer as if nothing were stored. */
  | { readonly kind: 'hide'; readonly realm: RealmName };

/**
 * Whether the resource is open to all. Then credentials are not checked, so that an outdated password does not block
 * access to public repositories.
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
 * Decides about a resource. A repository is protected if its name matches a rule of `REALMS`; all other names are
 * public, whether they exist or not. Since only the name counts, a refusal does not reveal what exists.
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
