/** The summary of a tag that is about to be written. */
import type { ImageContent } from '../../manifest/image.ts';
import { summarizeTag } from '../../manifest/tag-summary.ts';
import { blobKey } from '../../registry/keys.ts';
import type { RealmName } from '../../registry/realms.ts';
import type { WriteStore } from '../../registry/store.ts';
import type { TagSummary } from '../../registry/summary.ts';
import type { TagPlan } from './plan.ts';

/** The summary of a planned tag, for its entry in the list. Throws StorageError. */
export async function summaryOfPlan(
  plan: TagPlan,
  content: ImageContent,
  { store, realm }: { readonly store: WriteStore; readonly realm: RealmName },
): Promise<TagSummary> {
  const manifests = new Map(plan.manifests.map(({ manifest }) => [manifest.digest, manifest.bytes]));
  const blobs = new Map(plan.blobs.map((blob) => [blob.digest, blob]));
  return summarizeTag(
    {
      record: plan.record,
      manifests: plan.record.forms.map(({ digest }) => manifests.get(digest) ?? new Uint8Array()),
    },
    {
      manifest: (digest) => Promise.resolve(manifests.get(digest) ?? null),
      blob: (digest) => {
        const origin = blobs.get(digest)?.origin;
        return Promise.resolve(content.configs.get(digest) ?? (origin?.kind === 'bytes' ? origin.bytes : null));
      },
      blobSize: async (digest) => blobs.get(digest)?.size ?? (await store.head(blobKey(realm, digest)))?.size ?? null,
    },
  );
}
