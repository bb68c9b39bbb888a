/** A tag of the bucket as an image source: to merge its forms with new ones, and to verify it. */
import type { Digest } from '../registry/digest.ts';
import { blobKey, manifestKey } from '../registry/keys.ts';
import type { RepositoryName } from '../registry/name.ts';
import type { RealmName } from '../registry/realms.ts';
import type { TagForm } from '../registry/records.ts';
import type { ReadStore } from '../registry/store.ts';
import type { ImageSource, SourceManifest } from './image-source.ts';
import { readObject } from './read-object.ts';
import { publishedRoots, type ReadTag } from './read-tag.ts';

/** Where a repository is stored. */
export interface RepositoryPlace {
  readonly store: ReadStore;
  readonly name: RepositoryName;
  readonly realm: RealmName;
}

/** Opens a tag. `roots`: which of its published forms to read; by default all. */
export function openStoredImage(
  place: RepositoryPlace,
  tag: ReadTag,
  roots: readonly TagForm[] = publishedRoots(tag),
): ImageSource {
  const { record, manifests } = tag;
  const inTag = new Map(
    record.forms.map(({ digest, mediaType }, index): [Digest, SourceManifest] => [
      digest,
      { digest, mediaType, bytes: manifests[index] ?? new Uint8Array() },
    ]),
  );
  const found = roots.flatMap(({ digest }) => inTag.get(digest) ?? []);
  return storedImageOf(place, found, inTag);
}

/** An image whose manifests and blobs are in the bucket. `atHand`: manifests that need not be read. */
export function storedImageOf(
  { store, name, realm }: RepositoryPlace,
  roots: readonly SourceManifest[],
  atHand: ReadonlyMap<Digest, SourceManifest> = new Map(),
): ImageSource {
  return {
    roots,
    manifest: async (digest) => atHand.get(digest) ?? readStoredManifest(store, name, digest),
    blob: async (digest, { signal } = {}) => {
      const object = await store.get(blobKey(realm, digest), signal === undefined ? {} : { signal });
      return object === null || object === 'changed' ? null : { size: object.size, chunks: object.body };
    },
    referrers: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

/** Reads a manifest by digest; null if it is not stored. */
export async function readStoredManifest(
  store: ReadStore,
  name: RepositoryName,
  digest: Digest,
): Promise<(SourceManifest & { readonly digest: Digest }) | null> {
  const object = await readObject(store, manifestKey(name, digest));
  if (object === null) return null;
  const { contentType } = object.info;
  return { digest, bytes: object.bytes, ...(contentType === undefined ? {} : { mediaType: contentType }) };
}
