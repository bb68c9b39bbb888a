import { PUBLIC_REALM, realmOf, type RealmName } from '../../registry/realms.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { AccessPolicy } from './policy.ts';

/**
 * The caller's status. `nobody`: no credentials. `guest`: the token that `/token` issues without credentials.
 * `refused`: invalid credentials. `known`: valid credentials, whatever they give access to.
 */
export type Standing = 'nobody' | 'guest' | 'refused' | 'known';

/** The caller, with all that decides what may be read. */
export interface Caller {
  readonly standing: Standing;
  /** The caller's name, for the subject of tokens; empty for nobody. */
  readonly name: string;
  /** Protected realms with full access. */
  readonly realms: ReadonlySet<RealmName>;
  /** Single repositories of protected realms that a Bearer token grants. */
  readonly repositories: ReadonlySet<string>;
  /** Realms whose repositories may be listed but not pulled, from a token for the catalogue alone. */
  readonly listed: ReadonlySet<RealmName>;
  /** When the credentials expire; null: never. */
  readonly expires: Date | null;
}

/** Whole seconds until the caller's credentials expire; infinite if they never do. */
export function secondsLeft({ expires }: Caller, now: Date): number {
  return expires === null ? Infinity : Math.floor((expires.getTime() - now.getTime()) / 1000);
}

const NONE: ReadonlySet<never> = new Set();

/** A caller with access to public repositories only. */
export function callerWithout(standing: Exclude<Standing, 'known'>): Caller {
  return { standing, name: '', realms: NONE, repositories: NONE, listed: NONE, expires: null };
}

/**
 * Combines two kinds of credentials, such as a certificate and a token: the caller has the access of both, and is known
 * if one of them is valid.
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
 * Whether the caller may pull from the repository. Only its name decides, so the answer does not reveal whether it
 * exists.
 */
export function mayRead(policy: Pick<AccessPolicy, 'realms'>, caller: Caller, name: RepositoryName): boolean {
  const realm = realmOf(policy.realms, name);
  return realm === PUBLIC_REALM || caller.realms.has(realm) || caller.repositories.has(name);
}

/** Whether the repository is listed for the caller in catalogue, search and pages. */
export function mayList(policy: Pick<AccessPolicy, 'realms'>, caller: Caller, name: RepositoryName): boolean {
  return mayRead(policy, caller, name) || caller.listed.has(realmOf(policy.realms, name));
}
