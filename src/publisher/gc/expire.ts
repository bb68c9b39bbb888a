/**
 * Tags that were fetched from an upstream and that nobody has pulled for as long as the origin rule says (`expire`).
 * Their objects are emptied, not deleted (write-tag.ts): the next client that pulls one has it fetched again. Their
 * manifests and blobs are then collected like any others. Published tags have no origin mark, and never expire.
 */
import { openLists } from '../../bucket/lists.ts';
import { isTombstone, type ReadTag } from '../../bucket/read-tag.ts';
import { writeTombstone } from '../../bucket/write-tag.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { decodeOriginMark } from '../../registry/origin-mark.ts';
import type { ObjectInfo, WriteStore } from '../../registry/store.ts';

/** A tag that nobody pulled for long. */
export interface ExpiredTag {
  readonly name: RepositoryName;
  readonly tag: Tag;
}

/** Whether a tag has expired. `now` in milliseconds. */
export function isExpired({ info }: Pick<ReadTag, 'info'>, now: number): boolean {
  const expires = decodeOriginMark(info.metadata)?.expires;
  return expires !== undefined && expires <= now && !isTombstone(info);
}

/** Empties a tag and takes it off the lists. False if it was pulled or published meanwhile. Throws StorageError. */
export async function expireTag(
  store: WriteStore,
  { name, tag }: ExpiredTag,
  info: ObjectInfo,
  now: number,
): Promise<boolean> {
  const mark = decodeOriginMark(info.metadata);
  if (mark === null) return false;
  // As if it had been gone from the beginning of time: the Worker asks the upstream before it answers.
  const gone = { origin: mark.origin, digest: mark.digest, checked: 0, gone: 0 };
  const updated = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  if ((await writeTombstone(store, info, gone, updated)) === 'precondition-failed') return false;
  await openLists(store).update(name, tag, { kind: 'removed' });
  return true;
}
