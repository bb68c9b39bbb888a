/**
 * Writes tag objects: the only place that does. A write is conditional on the object that was read before (`over`), so
 * that concurrent publishers do not overwrite each other. One write moves the tag in all its forms.
 */
import { MEDIA_TYPES } from '../registry/media-type.ts';
import { encodeOriginMark, type OriginMark } from '../registry/origin-mark.ts';
import { encodeTag } from '../registry/records.ts';
import type { ObjectInfo, PutOptions, WriteStore } from '../registry/store.ts';

/** What came of a conditional write. */
export type Written = Awaited<ReturnType<WriteStore['put']>>;

/** The version of an object that may be written over; null: there must be none. */
export type ReplacedObject = (Pick<ObjectInfo, 'etag'> & Partial<Pick<ObjectInfo, 'uploaded'>>) | null;

/** The condition that a write is made under. */
export function replaceCondition(over: ReplacedObject): NonNullable<PutOptions['onlyIf']> {
  return over ?? 'absent';
}

/** A tag object to be written. */
export interface TagObject {
  readonly key: string;
  readonly body: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Writes a tag object. Everything that it names must be stored before. Throws StorageError, or the signal's reason. */
export function writeTag(
  store: WriteStore,
  { key, body, metadata }: TagObject,
  over: ReplacedObject,
  signal?: AbortSignal,
): Promise<Written> {
  const onlyIf = replaceCondition(over);
  const options = { contentType: MEDIA_TYPES.octetStream, metadata, onlyIf };
  return store.put(key, body, signal === undefined ? options : { ...options, signal });
}

/**
 * Writes a tag object again with another origin mark, over exactly that object; its forms stay. Throws StorageError.
 */
export function writeOriginMark(
  store: WriteStore,
  info: ObjectInfo,
  body: Uint8Array,
  mark: OriginMark,
): Promise<Written> {
  return writeTag(store, { key: info.key, body, metadata: { ...info.metadata, ...encodeOriginMark(mark) } }, info);
}

/**
 * Empties the tag object of a tag that its upstream has deleted ({@link import('./read-tag.ts').isTombstone}). It is
 * not deleted, because a deletion cannot be made conditional on nobody having published the tag meanwhile. `updated`:
 * RFC 3339 UTC. Throws StorageError.
 */
export function writeTombstone(
  store: WriteStore,
  info: ObjectInfo,
  mark: OriginMark,
  updated: string,
): Promise<Written> {
  const { body, metadata } = encodeTag({ updated, forms: [], missing: [] }, []);
  return writeTag(store, { key: info.key, body, metadata: { ...metadata, ...encodeOriginMark(mark) } }, info);
}
