/** Reads tag objects: the record with the bytes of all its manifests. */
import { readLinks } from '../manifest/links.ts';
import { decodeOriginMark } from '../registry/origin-mark.ts';
import { decodeTagIndex, decodeTagMetadata, type TagForm, type TagRecord } from '../registry/records.ts';
import { CorruptRecordError, NewerVersionError } from '../registry/unreadable-record.ts';
import type { ObjectInfo, ReadStore } from '../registry/store.ts';
import { readObject } from './read-object.ts';

/** A tag object that was read: `manifests` in the record's order; `trailing`: bytes that belong to no form. */
export interface ReadTag {
  readonly kind: 'read';
  readonly info: ObjectInfo;
  readonly record: TagRecord;
  readonly manifests: readonly Uint8Array[];
  readonly trailing: number;
}

/** A tag object, or why it cannot be read. `newer`: a newer gantry wrote it, and it must not be written over. */
export type TagReading =
  | ReadTag
  | { readonly kind: 'corrupt'; readonly message: string }
  | { readonly kind: 'newer'; readonly message: string; readonly error: NewerVersionError };

/** Reads a tag object with all its manifests; null if it is not stored. */
export async function readTag(store: ReadStore, key: string): Promise<TagReading | null> {
  const object = await readObject(store, key);
  return object === null ? null : parseTagObject(object.info, object.bytes);
}

/** Splits a tag object into its record and manifests. Pure. */
export function parseTagObject(info: ObjectInfo, body: Uint8Array): TagReading {
  try {
    const index = decodeTagMetadata(info.metadata);
    const start = index.kind === 'record' ? 0 : index.length;
    const record = index.kind === 'record' ? index.record : decodeTagIndex(body.subarray(0, start));
    const end = record.forms.reduce((most, form) => Math.max(most, form.offset + form.length), 0);
    if (start + end > body.length) {
      const needed = String(start + end);
      return { kind: 'corrupt', message: `its index needs ${needed} bytes, the object has ${String(body.length)}` };
    }
    const manifests = record.forms.map(({ offset, length }) => body.subarray(start + offset, start + offset + length));
    return { kind: 'read', info, record, manifests, trailing: body.length - start - end };
  } catch (error) {
    if (error instanceof CorruptRecordError) return { kind: 'corrupt', message: error.message };
    if (error instanceof NewerVersionError) return { kind: 'newer', message: error.message, error };
    throw error;
  }
}

/**
 * Whether a tag object is a tombstone (write-tag.ts): the tag was fetched from an upstream that has deleted it, and is
 * in no list.
 */
export function isTombstone({ size, metadata }: Pick<ObjectInfo, 'size' | 'metadata'>): boolean {
  return size === 0 && decodeOriginMark(metadata) !== null;
}

/**
 * The forms that were published under the tag itself; a published list's children, which stand for one platform, are
 * not.
 */
export function publishedRoots({ record, manifests }: Pick<ReadTag, 'record' | 'manifests'>): readonly TagForm[] {
  const children = new Set(manifests.flatMap((bytes) => readLinks(bytes)?.children.map(({ digest }) => digest) ?? []));
  return record.forms.filter(
    ({ source, platform, form, digest }) =>
      source.kind === 'published' && !children.has(digest) && (platform === undefined || form === 'docker-schema1'),
  );
}
