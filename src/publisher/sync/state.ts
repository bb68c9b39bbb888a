/**
 * What a sync remembers of a source that numbers its versions: one JSON object in the bucket for each source and `to`.
 * It saves work, and shows which repositories the source no longer has. Without it, every tag is compared again.
 */
import { createHash } from 'node:crypto';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { syncStateKey } from '../../registry/keys.ts';
import { MEDIA_TYPES } from '../../registry/media-type.ts';
import { refuseNewer } from '../../registry/unreadable-record.ts';
import type { ObjectInfo, WriteStore } from '../../registry/store.ts';
import { objectOf, parseJson } from '../../registry/values/json.ts';
import { readObject } from '../../bucket/read-object.ts';
import { replaceCondition } from '../../bucket/write-tag.ts';

/** The version of the format. */
const VERSION = 1;

/** A repository as it was synced completely. */
export interface SyncedRepository {
  /** Its name at the source. */
  readonly from: string;
  /** Its name in the bucket. */
  readonly to: RepositoryName;
  /** The version of the source. */
  readonly version: string;
  /** A digest of the settings that it was synced with. */
  readonly settings: string;
  /** How many tags it had. */
  readonly tags: number;
}

/** The state of one source. */
export interface SyncState {
  readonly key: string;
  /** The object that was read; null if there was none. */
  readonly info: ObjectInfo | null;
  /** By the repository's identity at the source. */
  readonly repositories: Map<string, SyncedRepository>;
}

/** The identity of a source's state. `parts`: the values that distinguish sources. */
export function syncStateId(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Reads a state; a damaged one counts as none. Throws StorageError and NewerVersionError. */
export async function readSyncState(store: WriteStore, id: string): Promise<SyncState> {
  const key = syncStateKey(id);
  const object = await readObject(store, key);
  if (object === null) return { key, info: null, repositories: new Map() };
  return { key, info: object.info, repositories: decode(object.bytes) };
}

/** Writes a state over the one that was read. Gives false if another sync wrote it meanwhile. */
export async function writeSyncState(store: WriteStore, { key, info, repositories }: SyncState): Promise<boolean> {
  const sorted = [...repositories].sort(([a], [b]) => (a < b ? -1 : 1));
  const bytes = new TextEncoder().encode(
    JSON.stringify({ version: VERSION, repositories: Object.fromEntries(sorted) }),
  );
  const written = await store.put(key, bytes, { contentType: MEDIA_TYPES.json, onlyIf: replaceCondition(info) });
  return written !== 'precondition-failed';
}

function decode(bytes: Uint8Array): Map<string, SyncedRepository> {
  const { version, repositories } = objectOf(parseJson(bytes));
  refuseNewer('the state of the sync', version, VERSION);
  return new Map(
    Object.entries(objectOf(repositories)).flatMap(([id, entry]) => {
      const repository = decodeRepository(entry);
      return repository === null ? [] : [[id, repository] as const];
    }),
  );
}

function decodeRepository(value: unknown): SyncedRepository | null {
  const { from, to, version, settings, tags } = objectOf(value);
  const name = typeof to === 'string' ? parseRepositoryName(to) : null;
  return typeof from === 'string' &&
    name !== null &&
    typeof version === 'string' &&
    typeof settings === 'string' &&
    typeof tags === 'number'
    ? { from, to: name, version, settings, tags }
    : null;
}
