/** Deletes tags: the only place that does. What they needed is deleted by garbage collection. */
import { tagKey } from '../registry/keys.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import { decodeTagMetadata } from '../registry/records.ts';
import type { WriteStore } from '../registry/store.ts';
import { readSettings } from './format.ts';
import { openLists, refuseNewerLists } from './lists.ts';
import { type Protection, protectionOf, ImmutableTagError, type ImmutableRules } from './settings/immutable-tags.ts';
import { listTags } from './survey.ts';
import { CorruptRecordError } from '../registry/unreadable-record.ts';

/**
 * Throws NewerVersionError for a tag that a newer gantry wrote: records that this program does not know may name it.
 */
function refuseNewerTag(metadata: Readonly<Record<string, string>>): void {
  try {
    decodeTagMetadata(metadata);
  } catch (error) {
    // A damaged tag may be deleted.
    if (!(error instanceof CorruptRecordError)) throw error;
  }
}

/**
 * Throws ImmutableTagError if a rule keeps any of the tags from being deleted. `force`: delete those whose rule allows
 * it.
 */
export function refuseDeletion(
  rules: ImmutableRules,
  name: RepositoryName,
  tags: readonly Tag[],
  force: boolean,
): void {
  let first: Protection | undefined;
  const kept = tags.filter((tag) => {
    const protection = protectionOf(rules, name, tag);
    if (protection === null || (force && protection.allowForce)) return false;
    // The rule that no --force overrides is the one to name.
    if (first === undefined || (first.allowForce && !protection.allowForce)) first = protection;
    return true;
  });
  const [tag, ...others] = kept;
  if (tag !== undefined && first !== undefined) throw new ImmutableTagError(name, [tag, ...others], first, 'deleted');
}

/**
 * Deletes tags one by one, each with its entry in the tag list, so that an interrupted run leaves lists that are right.
 * Throws ImmutableTagError before anything is deleted, StorageError, or the signal's reason.
 */
export async function deleteTags(
  store: WriteStore,
  name: RepositoryName,
  tags: readonly Tag[],
  {
    signal,
    onDeleted,
    force = false,
    expected,
  }: {
    readonly signal?: AbortSignal | undefined;
    readonly onDeleted?: (tag: Tag) => void;
    readonly force?: boolean;
    /** By tag, the etag of the object that may be deleted: a tag that has moved since stays. */
    readonly expected?: ReadonlyMap<Tag, string>;
  } = {},
): Promise<void> {
  if (tags.length > 0) {
    const [settings] = await Promise.all([readSettings(store), refuseNewerLists(store, name)]);
    refuseDeletion(settings.immutable, name, tags, force);
  }
  const lists = openLists(store, { signal });
  for (const tag of tags) {
    signal?.throwIfAborted();
    const key = tagKey(name, tag);
    const info = await store.head(key);
    if (info !== null) refuseNewerTag(info.metadata);
    if (info !== null && info.etag !== (expected?.get(tag) ?? info.etag)) continue;
    await store.delete([key]);
    await lists.update(name, tag, { kind: 'removed' });
    onDeleted?.(tag);
  }
  if (tags.length > 0 && (await listTags(store, name)).size === 0) await lists.forget(name);
}
