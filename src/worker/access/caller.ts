import { PUBLIC_REALM, realmOf, type RealmName } from '../../registry/realms.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { AccessPolicy } from './policy.ts';

/**
 * How a caller stands. `nobody`: presented nothing. `guest`: presented the token that `/token` gives to those without
 * credentials. `refused`: presented something that does not hold. `known`: presented something that does, whatever it
 * opens.
 */
export type Standing = 'nobody' | 'guest' | 'refused' | 'known';

/** Who asks, as far as it matters here: what may be read. */
export interface Caller {
  readonly standing: Standing;
  /** Who it is, for the subject of tokens; empty for nobody. */
  readonly name: string;
  /** Protected realms that are open whole. */
  readonly realms: ReadonlySet<RealmName>;
  /** Single repositories of protected realms that a Bearer token names. */
  readonly repositories: ReadonlySet<string>;
  /** Realms whose repositories may be listed but not pulled: a token for the catalogue alone. */
  readonly listed: ReadonlySet<RealmName>;
  /** When what was presented ends; null for never. */
  readonly expires: Date | null;
}

const NONE: ReadonlySet<never> = new Set();

/** A caller who may read what is public and nothing else. */
export function callerWithout(standing: Exclude<Standing, 'known'>): Caller {
  return { standing, name: '', realms: NONE, repositories: NONE, listed: NONE, expires: null };
}

/**
 * Two ways in at once (a certificate and a token): everything that either opens. Where one of them holds, the caller is
 * known.
 */
export function together(a: Caller, b: Caller): Caller {
  const standings: readonly Standing[] = [a.standing, b.standing];
  const standing =
    (['refused', 'known', 'guest', 'nobody'] as const).find((one) => standings.includes(one)) ?? 'nobody';
  return {
    standing,
    name: a.name === '' ? b.name : a.name,
    realms: new Set([...a.realms, ...b.realms]),
    repositories: new Set([...a.repositories, ...b.repositories]),
    listed: new Set([...a.listed, ...b.listed]),
    expires: [a.expires, b.expires].reduce((first, second) =>
      first === null || (second !== null && second < first) ? second : first,
    ),
  };
}

/**
 * Whether the caller may pull from the repository. The name alone tells, so the answer says nothing about what exists.
 */
export function mayRead(policy: Pick<AccessPolicy, 'realms'>, caller: Caller, name: RepositoryName): boolean {
  const realm = realmOf(policy.realms, name);
  return realm === PUBLIC_REALM || caller.realms.has(realm) || caller.repositories.has(name);
}

/** Whether the repository shows in the caller's catalogue, search and pages. */
export function mayList(policy: Pick<AccessPolicy, 'realms'>, caller: Caller, name: RepositoryName): boolean {
  return mayRead(policy, caller, name) || caller.listed.has(realmOf(policy.realms, name));
}
