/**
 * The bucket's format object: the version of the layout, the conditional requests that its storage understands, and the
 * protected realms that it was written with. This is the one place where the version is checked before a write.
 */
import { FORMAT_KEY } from '../registry/keys.ts';
import { protectedRealmsOf, type RealmTable } from '../registry/realms.ts';
import { type ReadStore, StorageError, type WriteStore } from '../registry/store.ts';
import { readObject } from './read-object.ts';

/**
 * The version of the bucket's layout that this program writes. It grows when an older program would damage the bucket.
 */
export const FORMAT_VERSION = 1;

/**
 * How an entity tag is written in `If-Match`: RFC 9110 quotes it, Ceph RGW 16.2 understands only one without quotes.
 */
export type IfMatchStyle = 'quoted' | 'bare';

/** What a probe found out about storage. */
export interface StorageFacts {
  /** The endpoint that was probed: another one may behave differently. */
  readonly endpoint: string;
  readonly ifMatch: IfMatchStyle;
}

/** The format object. */
export interface BucketFormat {
  readonly version: number;
  /** Absent for storage that needs no probe. */
  readonly storage?: StorageFacts;
  /** Names of the protected realms of the tables that the bucket was written with; absent: none. */
  readonly realms?: readonly string[];
}

/** Reads the format object; null if no program has written one yet. Throws {@link StorageError}. */
export async function readFormat(store: ReadStore): Promise<BucketFormat | null> {
  const object = await readObject(store, FORMAT_KEY);
  return object === null ? null : parseFormat(new TextDecoder().decode(object.bytes));
}

/** Writes the format object if there is none: an existing one is never replaced. Gives the one that stands. */
export async function createFormat(store: WriteStore, storage?: StorageFacts): Promise<BucketFormat> {
  const format: BucketFormat = { version: FORMAT_VERSION, ...(storage === undefined ? {} : { storage }) };
  const bytes = new TextEncoder().encode(`${JSON.stringify(format)}\n`);
  const written = await store.put(FORMAT_KEY, bytes, { contentType: 'application/json', onlyIf: 'absent' });
  if (written !== 'precondition-failed') return format;
  const standing = await readFormat(store);
  if (standing === null) throw new StorageError('STORAGE_UNAVAILABLE', `${FORMAT_KEY} was deleted while it was read`);
  return standing;
}

/**
 * The protected realms that a bucket was written with, if the table has none at all: it is not the table of this
 * bucket. Objects of a realm that only some rules lost are recognized by their marks (realm-mark.ts).
 */
export function lostRealms(format: BucketFormat | null, table: RealmTable): readonly string[] {
  return protectedRealmsOf(table).length === 0 ? (format?.realms ?? []) : [];
}

/** Error text for lost realms, and what to do. */
export function lostRealmsMessage(realms: readonly string[]): { readonly message: string; readonly hint: string } {
  return {
    message: `REALMS is empty, but the bucket was written with the protected realms ${realms.join(', ')}`,
    hint:
      'Restore the rules in REALMS. If everything is to be public, publish it again and remove "realms" from ' +
      `${FORMAT_KEY} in the bucket.`,
  };
}

/** Attempts to add realms while others write the format object. */
const NOTE_ATTEMPTS = 5;

/** Adds the protected realms of a table to the format object, which exists. Throws {@link StorageError}. */
export async function noteRealms(store: WriteStore, table: RealmTable): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const object = await readObject(store, FORMAT_KEY);
    const text = object === null ? '' : new TextDecoder().decode(object.bytes);
    const known = object === null ? [] : (parseFormat(text).realms ?? []);
    const realms = [...new Set([...known, ...protectedRealmsOf(table)])].sort();
    if (realms.length === known.length) return;
    if (object === null) await createFormat(store);
    else {
      // Members that this version does not know stay.
      const format = { ...(JSON.parse(text) as object), realms };
      const bytes = new TextEncoder().encode(`${JSON.stringify(format)}\n`);
      const { etag, uploaded } = object.info;
      const onlyIf = { etag, uploaded };
      const written = await store.put(FORMAT_KEY, bytes, { contentType: 'application/json', onlyIf });
      if (written !== 'precondition-failed') return;
    }
    if (attempt === NOTE_ATTEMPTS)
      throw new StorageError('STORAGE_UNAVAILABLE', `${FORMAT_KEY} was changed by others during every attempt`);
  }
}

/** Throws {@link StorageError} if a newer program wrote the bucket: this one would write what it cannot read. */
export function refuseNewerFormat({ version }: BucketFormat, title: string): void {
  if (version <= FORMAT_VERSION) return;
  throw new StorageError(
    'STORAGE_DENIED',
    `${title} was written by a newer gantry (format ${String(version)}; this one writes ${String(FORMAT_VERSION)}); ` +
      'install the newer version to write to it',
  );
}

/**
 * A store that prepares before its first write: `prepare` gives the store that writes. Reads need no preparation, so
 * that commands which only read need no right to write. A failed preparation is repeated by the next write.
 */
export function withPreparedWrites(store: WriteStore, prepare: () => Promise<WriteStore>): WriteStore {
  let prepared: Promise<WriteStore> | undefined;
  const writer = async (): Promise<WriteStore> => {
    prepared ??= prepare();
    try {
      return await prepared;
    } catch (error) {
      prepared = undefined;
      throw error;
    }
  };
  return {
    head: (key) => store.head(key),
    get: (key, options) => store.get(key, options),
    list: (prefix, options) => store.list(prefix, options),
    put: async (key, body, options) => (await writer()).put(key, body, options),
    delete: async (keys) => (await writer()).delete(keys),
    deleteFenced:
      store.deleteFenced === undefined
        ? undefined
        : async (keys, fence) => {
            const prepared = await writer();
            if (prepared.deleteFenced === undefined) throw new TypeError('the prepared store cannot fence deletions');
            return prepared.deleteFenced(keys, fence);
          },
  };
}

/** Parses a format object. Throws {@link StorageError}. */
export function parseFormat(text: string): BucketFormat {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(cause);
  }
  const { version, storage, realms } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) throw damaged();
  const { endpoint, ifMatch } = (storage ?? {}) as { readonly endpoint?: unknown; readonly ifMatch?: unknown };
  const names = Array.isArray(realms) ? realms.filter((realm): realm is string => typeof realm === 'string') : [];
  return {
    version,
    ...(typeof endpoint === 'string' &&
      (ifMatch === 'quoted' || ifMatch === 'bare') && { storage: { endpoint, ifMatch } }),
    ...(names.length > 0 && { realms: names }),
  };
}

function damaged(cause?: unknown): StorageError {
  return new StorageError(
    'STORAGE_CORRUPT',
    `${FORMAT_KEY} is not a format object; delete it, and the next write creates it`,
    {
      cause,
    },
  );
}
