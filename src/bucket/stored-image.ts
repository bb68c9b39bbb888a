/** A tag that is in the bucket already, as a source: to join forms, and to look at it. */
import type { Digest } from '../registry/digest.ts';
import { blobKey, manifestKey } from '../registry/keys.ts';
import type { RepositoryName } from '../registry/name.ts';
import type { RealmName } from '../registry/realms.ts';
import type { TagForm, TagRecord } from '../registry/records.ts';
import type { ReadStore } from '../registry/store.ts';
import { readLinks } from '../manifest/links.ts';
import { readObject, type TagReading } from './survey.ts';
import type { SourceImage, SourceManifest } from '../publisher/sources/source.ts';

/** Where the tag is. */
export interface BucketPlace {
  readonly store: ReadStore;
  readonly name: RepositoryName;
  readonly realm: RealmName;
}

/** Opens a tag. `roots`: which of its published forms to take; all of them unless told otherwise. */
export function openBucketTag(
  { store, name, realm }: BucketPlace,
  { record, manifests }: Extract<TagReading, { kind: 'read' }>,
  roots: readonly TagForm[] = publishedRoots(record, manifests),
): SourceImage {
  const inTag = new Map(
    record.forms.map(({ digest, mediaType }, index): [Digest, SourceManifest] => [
      digest,
      { digest, mediaType, bytes: manifests[index] ?? new Uint8Array() },
    ]),
  );
  return {
    roots: roots.flatMap(({ digest }) => inTag.get(digest) ?? []),
    manifest: async (digest) => {
      const here = inTag.get(digest);
      if (here !== undefined) return here;
      const object = await readObject(store, manifestKey(name, digest));
      if (object === null) return null;
      const { contentType } = object.info;
      return { digest, bytes: object.bytes, ...(contentType === undefined ? {} : { mediaType: contentType }) };
    },
    blob: async (digest, { signal } = {}) => {
      const object = await store.get(blobKey(realm, digest), signal === undefined ? {} : { signal });
      return object === null || object === 'changed' ? null : { size: object.size, chunks: object.body };
    },
    referrers: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

/** The forms that were published under the tag itself; a published list's children, which stand for one platform, are not. */
export function publishedRoots(record: TagRecord, manifests: readonly Uint8Array[]): readonly TagForm[] {
  const children = new Set(manifests.flatMap((bytes) => readLinks(bytes)?.children.map(({ digest }) => digest) ?? []));
  return record.forms.filter(
    ({ source, platform, form, digest }) =>
      source.kind === 'published' && !children.has(digest) && (platform === undefined || form === 'docker-schema1'),
  );
}
