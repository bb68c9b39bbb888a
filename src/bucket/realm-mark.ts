/**
 * The realm of a repository, on each of its objects (metadata {@link REALM_METADATA}). The realm table decides who may
 * read. If a table loses a rule, its repositories would become public: the mark still protects them.
 *
 * Objects of public repositories have no mark, nor have those of earlier versions. The catalogue has the realms of the
 * table that it was written with.
 */
import { parseKey } from '../registry/keys.ts';
import { protectedRealmsOf, PUBLIC_REALM, realmOf, type RealmTable } from '../registry/realms.ts';
import type { GetOptions, ObjectInfo, PutOptions, StoredObject, WriteStore } from '../registry/store.ts';

/** Name of the custom metadata with the realm, or the realms separated by commas. */
export const REALM_METADATA = 'gantry-realm';

/** An object whose realm is not the table's. */
export interface RealmMismatch {
  readonly key: string;
  /** The realm that the object was written for; of the catalogue those that the table lacks. */
  readonly written: string;
  /** The realm that the table gives it. */
  readonly table: string;
}

/** The metadata that an object is written with; undefined if it needs no mark. */
function markOf(key: string, table: RealmTable): string | undefined {
  const parsed = parseKey(key);
  if (parsed?.kind === 'catalog') return protectedRealmsOf(table).join(',') || undefined;
  if (parsed === null || !('name' in parsed)) return undefined;
  const realm = realmOf(table, parsed.name);
  return realm === PUBLIC_REALM ? undefined : realm;
}

function mismatchOf({ key, metadata }: ObjectInfo, table: RealmTable): RealmMismatch | null {
  const written = metadata[REALM_METADATA];
  if (written === undefined) return null;
  const parsed = parseKey(key);
  if (parsed?.kind === 'catalog') {
    const known: ReadonlySet<string> = new Set(protectedRealmsOf(table));
    const lost = written.split(',').filter((realm) => !known.has(realm));
    return lost.length === 0 ? null : { key, written: lost.join(','), table: [...known].join(',') };
  }
  if (parsed === null || !('name' in parsed)) return null;
  const realm = realmOf(table, parsed.name);
  return realm === written ? null : { key, written, table: realm };
}

/**
 * A store that marks what is written with its realm. With `onMismatch`, objects of another realm than the table's do
 * not exist in it, and each that is read is reported.
 */
export function withRealms(
  store: WriteStore,
  table: RealmTable,
  onMismatch: ((mismatch: RealmMismatch) => void) | null,
): WriteStore {
  return new RealmStore(store, table, onMismatch);
}

// There is one for each request: a class creates no functions anew.
class RealmStore implements WriteStore {
  readonly #store: WriteStore;
  readonly #table: RealmTable;
  readonly #onMismatch: ((mismatch: RealmMismatch) => void) | null;

  constructor(store: WriteStore, table: RealmTable, onMismatch: ((mismatch: RealmMismatch) => void) | null) {
    this.#store = store;
    this.#table = table;
    this.#onMismatch = onMismatch;
  }

  async head(key: string): Promise<ObjectInfo | null> {
    const info = await this.#store.head(key);
    return info === null || this.#isHidden(info) ? null : info;
  }

  async get(key: string, options?: GetOptions): Promise<StoredObject | null | 'changed'> {
    const object = await this.#store.get(key, options);
    if (object === null || object === 'changed' || !this.#isHidden(object)) return object;
    // Ignore errors after cancellation.
    if (object.bytes === undefined) await object.body.cancel().catch(() => undefined);
    return null;
  }

  put(key: string, body: Parameters<WriteStore['put']>[1], options: PutOptions): ReturnType<WriteStore['put']> {
    // A mark that was read with the object, and is now another one, is replaced.
    const { [REALM_METADATA]: before, ...others } = options.metadata ?? {};
    const mark = markOf(key, this.#table);
    if (mark === undefined && before === undefined) return this.#store.put(key, body, options);
    const metadata = { ...others, ...(mark !== undefined && { [REALM_METADATA]: mark }) };
    return this.#store.put(key, body, { ...options, metadata });
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#store.delete(keys);
  }

  get deleteFenced(): WriteStore['deleteFenced'] {
    const { deleteFenced } = this.#store;
    return deleteFenced === undefined ? undefined : (keys, fence) => deleteFenced.call(this.#store, keys, fence);
  }

  list(...parameters: Parameters<WriteStore['list']>): ReturnType<WriteStore['list']> {
    return this.#store.list(...parameters);
  }

  #isHidden(info: ObjectInfo): boolean {
    const mismatch = this.#onMismatch === null ? null : mismatchOf(info, this.#table);
    if (mismatch !== null) this.#onMismatch?.(mismatch);
    return mismatch !== null;
  }
}
