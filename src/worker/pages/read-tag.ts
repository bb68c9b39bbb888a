import { type Digest } from '../../registry/digest.ts';
import { blobKey, tagKey } from '../../registry/keys.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { RealmName } from '../../registry/realms.ts';
import {
  CorruptRecordError,
  decodeTagIndex,
  decodeTagMetadata,
  type TagForm,
  type TagRecord,
} from '../../registry/records.ts';
import type { ReadStore } from '../../registry/store.ts';
import { isNameless } from '../../manifest/from-schema1.ts';
import { type ByteReader, readAll, readBytes } from '../../bucket/read-object.ts';
import {
  type ChildView,
  type ConfigView,
  type ManifestView,
  readChildren,
  readConfigView,
  readManifestView,
  shownForm,
  shownList,
} from './image-view.ts';

/** The stored facts about a tag, for its page. */
export interface TagContent {
  readonly record: TagRecord;
  /** Whether its published schema 1 has an empty name. */
  readonly nameless: boolean;
  readonly manifest: ManifestView | null;
  readonly config: ConfigView | null;
  readonly children: readonly ChildView[];
}

/** Maximum size of a manifest or config that a page reads, in bytes: the limit of registries and clients. */
const DOCUMENT_MAX = 4 * 1024 * 1024;

/**
 * Reads a tag in two reads: its object and the config. Null if there is no such tag. Throws `StorageError`, {@link
 * CorruptRecordError}.
 */
export async function readTag(
  store: ReadStore,
  realm: RealmName,
  name: RepositoryName,
  tag: Tag,
): Promise<TagContent | null> {
  const object = await store.get(tagKey(name, tag));
  if (object === null || object === 'changed') return null;
  const reader = readBytes(object.body);
  let content: Omit<TagContent, 'config'>;
  try {
    const index = decodeTagMetadata(object.metadata);
    const offset = index.kind === 'record' ? 0 : index.length;
    if (offset > object.size) throw new CorruptRecordError('the tag object is shorter than its index');
    const record = index.kind === 'record' ? index.record : decodeTagIndex(await reader.take(offset));
    content = await readManifests(record, reader, object.size - offset);
  } finally {
    await reader.end();
  }
  const digest = content.manifest?.kind === 'image' ? content.manifest.config?.digest : undefined;
  return { ...content, config: digest === undefined ? null : await readConfig(store, realm, digest) };
}

async function readManifests(record: TagRecord, reader: ByteReader, size: number): Promise<Omit<TagContent, 'config'>> {
  const image = shownForm(record);
  const list = shownList(record);
  const schema1 = publishedSchema1(record);
  const bytes = new Map<TagForm, Uint8Array>();
  let at = 0;
  const wanted = new Set([image, list, schema1].filter((form) => form !== null && form.length <= DOCUMENT_MAX));
  for (const form of [...wanted].sort((a, b) => (a?.offset ?? 0) - (b?.offset ?? 0))) {
    if (form === null) continue;
    if (form.offset < at || form.offset + form.length > size)
      throw new CorruptRecordError('a form lies outside the tag object');
    await reader.skip(form.offset - at);
    bytes.set(form, await reader.take(form.length));
    at = form.offset + form.length;
  }
  const bytesOf = (form: TagForm | null): Uint8Array | undefined => (form === null ? undefined : bytes.get(form));
  const imageBytes = bytesOf(image);
  const listBytes = bytesOf(list);
  const schema1Bytes = bytesOf(schema1);
  return {
    record,
    nameless: schema1Bytes !== undefined && isNameless(schema1Bytes),
    manifest: imageBytes === undefined ? null : readManifestView(imageBytes),
    children: listBytes === undefined ? [] : readChildren(listBytes),
  };
}

function publishedSchema1({ forms }: TagRecord): TagForm | null {
  return forms.find(({ form, source }) => form === 'docker-schema1' && source.kind === 'published') ?? null;
}

async function readConfig(store: ReadStore, realm: RealmName, digest: Digest): Promise<ConfigView | null> {
  const object = await store.get(blobKey(realm, digest));
  if (object === null || object === 'changed') return null;
  if (object.size > DOCUMENT_MAX) {
    await object.body.cancel();
    return null;
  }
  return readConfigView(await readAll(object.body, object.size));
}
