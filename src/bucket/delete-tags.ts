/** Deletes tags: the only place that does. What they needed is deleted by garbage collection. */
import { tagKey } from '../registry/keys.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import type { WriteStore } from '../registry/store.ts';
import { openLists } from './lists.ts';
import { listTags } from './survey.ts';

/** Deletes tags one by one, each with its entry in the tag list, so that an interrupted run leaves lists that are right. Throws StorageError, or the signal's reason. */
export async function deleteTags(
  store: WriteStore,
  name: RepositoryName,
  tags: readonly Tag[],
  { signal, onDeleted }: { readonly signal?: AbortSignal | undefined; readonly onDeleted?: (tag: Tag) => void } = {},
): Promise<void> {
  const lists = openLists(store, { signal });
  for (const tag of tags) {
    signal?.throwIfAborted();
    await store.delete([tagKey(name, tag)]);
    await lists.update(name, tag, { kind: 'removed' });
    onDeleted?.(tag);
  }
  if (tags.length > 0 && (await listTags(store, name)).size === 0) await lists.forget(name);
}
