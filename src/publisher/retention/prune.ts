/** Deletes the tags of the bucket that a retention rule no longer keeps. */
import { deleteTags } from '../../bucket/delete-tags.ts';
import { readSettings } from '../../bucket/format.ts';
import { openLists } from '../../bucket/lists.ts';
import { protectionOf } from '../../bucket/settings/immutable-tags.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { type RealmTable, realmOf } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import { type RetentionRule, selectExpired } from './rule.ts';
import { companionsOfDeleted, readTagTimes } from './tag-times.ts';

/** What was done in one repository, or would be done. */
export interface PrunedRepository {
  readonly name: RepositoryName;
  /** The newest first; then tags that are named by the digest of one of their images, without a time. */
  readonly pruned: readonly { readonly tag: Tag; readonly moved?: string }[];
  /** Tags that stay because they are immutable, although the rule would delete them. */
  readonly immutable: readonly Tag[];
  /** How many tags stay. */
  readonly kept: number;
}

/** The options of {@link pruneRepository}. */
export interface PruneOptions {
  readonly store: WriteStore;
  readonly realms: RealmTable;
  readonly rule: RetentionRule;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Plan only, delete nothing. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onDeleted?: (name: RepositoryName, tag: Tag) => void;
}

/** Prunes a repository. Throws StorageError, and NewerVersionError. */
export async function pruneRepository(name: RepositoryName, options: PruneOptions): Promise<PrunedRepository> {
  const { store, realms, rule, now, dryRun, signal, onDeleted } = options;
  const [{ immutable: rules }, tags] = await Promise.all([readSettings(store), readTagTimes(store, name)]);
  const isImmutable = ({ tag }: { readonly tag: Tag }): boolean => protectionOf(rules, name, tag) !== null;
  const expired = selectExpired(
    tags.filter((one) => !isImmutable(one)),
    rule,
    now,
  );
  const immutable = selectExpired(tags.filter(isImmutable), rule, now).map(({ tag }) => tag);
  const names = tags.map(({ tag }) => tag);
  const gone = expired.map(({ tag }) => tag);
  const companions = await companionsOfDeleted(store, name, names, gone);
  const etags = new Map(tags.map(({ tag, etag }) => [tag, etag]));
  const deleted = new Set<Tag>();
  if (dryRun) for (const tag of [...gone, ...companions]) deleted.add(tag);
  else if (gone.length > 0) {
    // Images first: a run that is cut off leaves no image without its signatures.
    await deleteTags(store, name, [...gone, ...companions], {
      signal,
      expected: etags,
      onDeleted: (tag) => {
        deleted.add(tag);
        onDeleted?.(name, tag);
      },
    });
    await openLists(store, { signal }).reconcile(name, realmOf(realms, name));
  }
  const pruned = [
    ...expired.map(({ tag, moved }) => ({ tag, ...(moved !== null && { moved: new Date(moved).toISOString() }) })),
    ...companions.map((tag) => ({ tag })),
  ].filter(({ tag }) => deleted.has(tag));
  return { name, pruned, immutable, kept: tags.length - pruned.length };
}
