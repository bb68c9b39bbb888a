/** What the push endpoint does with a bucket: publishing tags, storing manifests, removing tags. */
import type { Signer } from '../../manifest/image.ts';
import { tagKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { type RealmTable, realmOf } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import { deleteTags } from '../../bucket/delete-tags.ts';
import { openLists } from '../../bucket/lists.ts';
import { readImage } from '../../bucket/read-image.ts';
import { addReferrers, readReferrers } from '../../bucket/referrers.ts';
import { writeManifest } from '../../bucket/write-image.ts';
import { createPublisher } from '../publish/publish.ts';
import type { PublishRequest, PublishResult } from '../publish/request.ts';
import type { PushContext } from './push-request.ts';
import type { Uploads } from './uploads.ts';

/** What {@link pushContext} needs. */
export interface PushContextOptions {
  readonly store: WriteStore;
  readonly realms: RealmTable;
  readonly signer: Signer;
  readonly uploads: Uploads;
  readonly allowDelete: boolean;
  readonly recompress?: PublishRequest['recompress'];
  readonly signal: AbortSignal;
  /** Called after a tag was published. */
  readonly onPublished: (result: PublishResult) => Promise<void>;
  /** Called after a tag was removed. */
  readonly onRemoved?: (name: RepositoryName, tag: Tag) => Promise<void>;
}

/** Makes the context of an endpoint. */
export function pushContext(options: PushContextOptions): PushContext {
  const { store, realms, signer, uploads, allowDelete, recompress, signal, onPublished, onRemoved } = options;
  const reconciled = new Set<RepositoryName>();
  /** Once for each repository: an earlier run may have stopped between a tag and the lists. */
  const reconcileOnce = async (name: RepositoryName, reconcile: () => Promise<void>): Promise<void> => {
    if (reconciled.has(name)) return;
    await reconcile();
    reconciled.add(name);
  };
  return {
    store,
    realms,
    uploads,
    allowDelete,
    publish: async (name, tag, source) => {
      // One a push: the agreement with garbage collection begins before anything is looked for.
      const publisher = await createPublisher({ store, realms, signer, signal });
      const result = await publisher.publish(source, { name, tag, recompress, referrers: true });
      await reconcileOnce(name, () => publisher.reconcile(name));
      await onPublished(result);
      return result;
    },
    storeManifest: async (name, source) => {
      const { content } = await readImage(source, { signal });
      const { records } = await readReferrers(source, content.roots, false);
      for (const root of content.roots) await writeManifest(store, name, { ...root, source: { kind: 'published' } });
      await addReferrers(store, name, records, { signal });
    },
    removeTag: async (name, tag) => {
      if ((await store.head(tagKey(name, tag))) === null) return false;
      await deleteTags(store, name, [tag], { signal });
      await reconcileOnce(name, () => openLists(store, { signal }).reconcile(name, realmOf(realms, name)));
      await onRemoved?.(name, tag);
      return true;
    },
  };
}
