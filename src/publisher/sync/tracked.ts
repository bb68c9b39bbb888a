/** Repositories of a source that numbers its versions: whether one is unchanged, and where it may go. */
import { createHash } from 'node:crypto';
import { tagListKey } from '../../registry/keys.ts';
import type { RepositoryName } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmTable } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import { CommandError } from '../cli/errors.ts';
import type { Prune, SyncSettings } from './settings.ts';
import type { SyncedRepository } from './state.ts';

/** A source that was listed whole, so that it is known what it has no more. */
export interface Listing {
  /** Identifies its state. */
  readonly id: string;
  readonly title: string;
  /** The names of all its repositories, selected or not, by identity. */
  readonly all: ReadonlyMap<string, string>;
  /** Whether a repository that the list lacks is really not there. */
  hasLeft(id: string): Promise<boolean>;
  /** Whether the configuration selects a name of the source. */
  isSelected(from: string): boolean;
  /** What is deleted of a repository that had this name at the source. */
  pruneOf(from: string): Prune;
}

/** What a source that numbers its versions reports of a repository. */
export interface Tracked {
  readonly listing: Listing;
  /** Its identity at the source, which stays when it is renamed. */
  readonly id: string;
  /** Its name at the source. */
  readonly name: string;
  /** Identifies the content; null if there is none. */
  readonly version: () => Promise<string | null>;
  readonly isPrivate: boolean;
  /** The realm that it must be in if it is private; undefined: any but the public one. */
  readonly privateRealm: string | undefined;
}

/** Throws {@link CommandError} if a private repository would be in a wrong realm. */
export function refuseWrongRealm(
  { isPrivate, privateRealm, listing, name }: Tracked,
  to: RepositoryName,
  realms: RealmTable,
): void {
  if (!isPrivate) return;
  const realm = realmOf(realms, to);
  if (privateRealm === undefined ? realm !== PUBLIC_REALM : realm === privateRealm) return;
  const rule = `{ pattern = "${to}", realm = "${privateRealm ?? 'NAME'}" }`;
  throw new CommandError(
    realm === PUBLIC_REALM
      ? `${name} is private at ${listing.title}, and ${to} would be public here`
      : `${name} is private at ${listing.title}: ${to} must be in the realm "${privateRealm ?? ''}", and it is in "${realm}"`,
    { hint: `Add ${rule} to REALMS in wrangler.toml and deploy it, or leave it out with repositories: ['!${name}'].` },
  );
}

/** A digest of everything that a repository's content in the bucket depends on beside the source. */
export function digestOfSettings(settings: SyncSettings, to: RepositoryName, realms: RealmTable): string {
  const { tags, ...others } = settings;
  const text = JSON.stringify([
    { ...tags, regex: tags.regex?.source, semver: tags.semver?.range },
    others,
    realmOf(realms, to),
  ]);
  return createHash('sha256').update(text).digest('hex');
}

/** Whether the repository is as it was synced last, so that no tag needs to be compared. */
export async function isUnchanged(
  before: SyncedRepository | undefined,
  now: Pick<SyncedRepository, 'to' | 'version' | 'settings'>,
  store: WriteStore,
): Promise<boolean> {
  if (before?.to !== now.to || before.version !== now.version || before.settings !== now.settings) return false;
  // The bucket may have lost the repository meanwhile (`gantry rm`).
  return before.tags === 0 || (await store.head(tagListKey(now.to))) !== null;
}
