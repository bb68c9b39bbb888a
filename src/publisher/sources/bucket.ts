/** A tag of the bucket as a source, to merge its forms with new ones. */
import type { Digest } from '../../registry/digest.ts';
import { blobKey, manifestKey } from '../../registry/keys.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { RealmName } from '../../registry/realms.ts';
import type { TagForm, TagRecord } from '../../registry/records.ts';
import type { ReadStore } from '../../registry/store.ts';
import { readLinks } from '../../manifest/links.ts';
import { readObject, type TagReading } from '../gc/survey.ts';
import type { SourceImage, SourceManifest } from './source.ts';

/** The location of a tag. */
export interface BucketPlace {
  readonly store: ReadStore;
  readonly name: RepositoryName;
  readonly realm: RealmName;
}

/** Opens a tag. `roots` are the published forms to use; all of them by default. */
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

/** The forms that were published under the tag itself, without the children of a published list. */
export function publishedRoots(record: TagRecord, manifests: readonly Uint8Array[]): readonly TagForm[] {
  const children = new Set(manifests.flatMap((bytes) => readLinks(bytes)?.children.map(({ digest }) => digest) ?? []));
  return record.forms.filter(
    ({ source, platform, form, digest }) =>
      source.kind === 'published' && !children.has(digest) && (platform === undefined || form === 'docker-schema1'),
  );
}
