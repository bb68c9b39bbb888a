/**
 * The bucket's format object: the version of the layout, the conditional requests that its storage understands, the
 * protected realms that it was written with, and its settings. This is the one place where the version is checked
 * before a write.
 */
import { FORMAT_KEY } from '../registry/keys.ts';
import { protectedRealmsOf, type RealmTable } from '../registry/realms.ts';
import { type ReadStore, StorageError, type WriteStore } from '../registry/store.ts';
import { readObject } from './read-object.ts';
import { type ImmutableRules, parseImmutableRules } from './settings/immutable-tags.ts';
import type { Written } from './write-tag.ts';

/**
 * The latest version of the bucket's layout that this program knows. It grows when an older program would damage the
 * bucket. A bucket has the lowest version that says everything about it: 1, or 2 if it has settings, which programs
 * before them would not obey.
 */
export const FORMAT_VERSION = 2;

/** The version of a bucket without settings. */
const PLAIN_VERSION = 1;

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

/** What people set for a bucket (`gantry config`), and every writer obeys. */
export interface BucketSettings {
  readonly immutable: ImmutableRules;
}

/** The settings of a bucket in which nothing is set. */
export const NO_SETTINGS: BucketSettings = { immutable: [] };

/** The format object. */
export interface BucketFormat {
  readonly version: number;
  /** Absent for storage that needs no probe. */
  readonly storage?: StorageFacts;
  /** Names of the protected realms of the tables that the bucket was written with; absent: none. */
  readonly realms?: readonly string[];
  /** Absent: nothing is set. */
  readonly settings?: BucketSettings;
}

/** Reads the format object; null if no program has written one yet. Throws {@link StorageError}. */
export async function readFormat(store: ReadStore): Promise<BucketFormat | null> {
  const object = await readObject(store, FORMAT_KEY);
  return object === null ? null : parseFormat(new TextDecoder().decode(object.bytes));
}

/** Writes the format object if there is none: an existing one is never replaced. Gives the one that stands. */
export async function createFormat(store: WriteStore, storage?: StorageFacts): Promise<BucketFormat> {
  const format: BucketFormat = { version: PLAIN_VERSION, ...(storage === undefined ? {} : { storage }) };
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

/** Reads the settings of a bucket. Throws {@link StorageError}. */
export async function readSettings(store: ReadStore): Promise<BucketSettings> {
  return (await readFormat(store))?.settings ?? NO_SETTINGS;
}

/**
 * Changes the settings of a bucket; `change` is called again if others write at the same time. Gives what stands.
 * Throws {@link StorageError}.
 */
export async function changeSettings(
  store: WriteStore,
  change: (settings: BucketSettings) => BucketSettings,
): Promise<BucketSettings> {
  let settings = NO_SETTINGS;
  await changeFormat(store, (format) => {
    refuseNewerFormat(format, 'the bucket');
    const before = format.settings ?? NO_SETTINGS;
    settings = change(before);
    if (JSON.stringify(settings) === JSON.stringify(before)) return null;
    return settings.immutable.length === 0
      ? { version: PLAIN_VERSION, settings: undefined }
      : { version: FORMAT_VERSION, settings };
  });
  return settings;
}

/** Adds the protected realms of a table to the format object, which exists. Throws {@link StorageError}. */
export async function noteRealms(store: WriteStore, table: RealmTable): Promise<void> {
  const realms = protectedRealmsOf(table);
  if (realms.length === 0) return;
  await changeFormat(store, ({ realms: known = [] }) => {
    const all = [...new Set([...known, ...realms])].sort();
    return all.length === known.length ? null : { realms: all };
  });
}

/** Attempts to change the format object while others write it. */
const ATTEMPTS = 5;

/**
 * Changes members of the format object, which is created if there is none; others stay, also those that this version
 * does not know. `change` gives null if nothing is to be written. Throws {@link StorageError}.
 */
async function changeFormat(
  store: WriteStore,
  change: (format: BucketFormat) => Partial<Record<keyof BucketFormat, unknown>> | null,
): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const object = await readObject(store, FORMAT_KEY);
    const text = object === null ? '' : new TextDecoder().decode(object.bytes);
    const changed = change(object === null ? { version: PLAIN_VERSION } : parseFormat(text));
    if (changed === null) return;
    if (object === null) {
      await createFormat(store);
      continue;
    }
    const bytes = new TextEncoder().encode(`${JSON.stringify({ ...(JSON.parse(text) as object), ...changed })}\n`);
    const { etag, uploaded } = object.info;
    const options = { contentType: 'application/json', onlyIf: { etag, uploaded } };
    const written: Written = await store.put(FORMAT_KEY, bytes, options);
    if (written !== 'precondition-failed') return;
  }
  throw new StorageError('STORAGE_UNAVAILABLE', `${FORMAT_KEY} was changed by others during every attempt`);
}

/** Throws {@link StorageError} if a newer program wrote the bucket: this one would write what it cannot read. */
export function refuseNewerFormat({ version }: BucketFormat, title: string): void {
  if (version <= FORMAT_VERSION) return;
  throw new StorageError(
    'STORAGE_DENIED',
    `${title} was written by a newer gantry (format ${String(version)}; this one knows ${String(FORMAT_VERSION)}); ` +
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
  const { version, storage, realms, settings } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) throw damaged();
  const { endpoint, ifMatch } = (storage ?? {}) as { readonly endpoint?: unknown; readonly ifMatch?: unknown };
  const names = Array.isArray(realms) ? realms.filter((realm): realm is string => typeof realm === 'string') : [];
  return {
    version,
    ...(typeof endpoint === 'string' &&
      (ifMatch === 'quoted' || ifMatch === 'bare') && { storage: { endpoint, ifMatch } }),
    ...(names.length > 0 && { realms: names }),
    // Those of a newer version are not understood; it refuses all writes anyway.
    ...(settings !== undefined && version <= FORMAT_VERSION && { settings: parseSettings(settings) }),
  };
}

/** Reads settings strictly: one that is not understood would not be obeyed. Throws {@link StorageError}. */
function parseSettings(value: unknown): BucketSettings {
  const { immutable = [], ...others } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const rules = parseImmutableRules(immutable);
  if (rules === null || Object.keys(others).length > 0) {
    throw new StorageError(
      'STORAGE_CORRUPT',
      `${FORMAT_KEY} has settings that are not valid; remove "settings" from it, and set them again with gantry config`,
    );
  }
  return { immutable: rules };
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
