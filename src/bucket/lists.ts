/**
 * Writes the lists of a bucket, which others write too: the tags of each repository, and the catalogue.
 *
 * Every change is a conditional write over the version that was read, after a look at what the list is about: the entry
 * of a tag is made by whoever wrote the tag object last, so an older summary never overwrites a newer one. Changes that
 * arrive while a list is being written are merged into the next write.
 */
import { CATALOG_KEY, tagKey, tagListKey } from '../registry/keys.ts';
import { parseTag, type RepositoryName, type Tag } from '../registry/name.ts';
import type { RealmName } from '../registry/realms.ts';
import type { ListEntry } from '../registry/sorted-list.ts';
import type { ReadStore, WriteStore } from '../registry/store.ts';
import type { TagEntry } from '../registry/summary.ts';
import { objectOf } from '../registry/values/json.ts';
import { forEachLimit } from './concurrency.ts';
import { isSameList, readEntries, writeEntries, writeList } from './list-object.ts';
import { openList, readListEntry } from './list-page.ts';
import { isTombstone } from './read-tag.ts';
import { repositorySummaryOf, summarizeTagList, SUMMARIES_MAX } from './repository-summary.ts';
import { type ConflictOptions, untilWritten } from './retry.ts';
import { listTags, READS_AT_ONCE } from './survey.ts';
import { readTagEntry } from './tag-entry.ts';
import { CorruptRecordError } from '../registry/unreadable-record.ts';

/** A change of a tag: it was written and has that entry, or it was removed. */
export type TagChange = { readonly kind: 'written'; readonly entry: TagEntry } | { readonly kind: 'removed' };

/** Writes lists. */
export interface Lists {
  /**
   * Enters a change of a tag into the tag list, and the repository into the catalogue; resolves once both are written.
   * Throws StorageError.
   */
  update(name: RepositoryName, tag: Tag, change: TagChange): Promise<void>;
  /**
   * Deletes the tag list of a repository without tags, and its entry in the catalogue; restores both if a tag was
   * published meanwhile.
   */
  forget(name: RepositoryName): Promise<void>;
  /**
   * Compares the tag list and the catalogue with the tag objects, and mends both: a run that was cut off between a tag
   * and its entry leaves them behind, and the catalogue's detail of the repository is exact only after this. Where both
   * are right, it costs one listing and a read of each; of what this run wrote last, none. Throws StorageError.
   */
  reconcile(name: RepositoryName, realm: RealmName): Promise<void>;
}

/**
 * Throws NewerVersionError if a newer gantry wrote the tag list of a repository, or the catalogue. Called before a tag
 * is written or deleted, which would otherwise be missing from lists that this program cannot write. Costs a read of
 * each.
 */
export async function refuseNewerLists(store: ReadStore, name: RepositoryName): Promise<void> {
  await Promise.all([tagListKey(name), CATALOG_KEY].map((key) => refuseNewerList(store, key)));
}

/** Throws NewerVersionError if a newer gantry wrote the list. */
export async function refuseNewerList(store: ReadStore, key: string): Promise<void> {
  try {
    await openList(store, key);
  } catch (error) {
    // A damaged list is reported where it is written.
    if (!(error instanceof CorruptRecordError)) throw error;
  }
}

/** Opens the lists of a bucket. One for each run merges the changes that are made at the same time. */
export function openLists(store: WriteStore, options: ConflictOptions = {}): Lists {
  const tagLists = new Map<RepositoryName, Batch<Tag, TagChange>>();
  const known = new Set<RepositoryName>();
  const written = new Map<RepositoryName, WrittenList>();
  /** The tag lists whose summaries this run entered into the catalogue. */
  const summarized = new Map<RepositoryName, WrittenList>();
  const catalog = new Batch<RepositoryName, true>(async (names) => {
    for (const [name, list] of await updateCatalog(store, names, written, options)) summarized.set(name, list);
  });

  /** Enters a repository into the catalogue, unless its entry is as `freshness` wants it. */
  async function enter(name: RepositoryName, freshness: Freshness): Promise<void> {
    const list = written.get(name);
    if (list !== undefined && summarized.get(name) === list) return;
    if (await isEntered(store, name, list?.entries ?? null, freshness)) return;
    await catalog.add(name, true);
  }

  async function update(name: RepositoryName, tag: Tag, change: TagChange): Promise<void> {
    let batch = tagLists.get(name);
    if (batch === undefined) {
      batch = new Batch(async (changes) => {
        written.set(name, await updateTagList(store, name, changes, options));
      });
      tagLists.set(name, batch);
    }
    await batch.add(tag, change);
    // Also where the list existed before: its writer may have stopped before the catalogue.
    if (known.has(name)) return;
    await enter(name, 'hourly');
    known.add(name);
  }

  async function forget(name: RepositoryName): Promise<void> {
    known.delete(name);
    await store.delete([tagListKey(name)]);
    await catalog.add(name, true);
    // A tag may have been published between the last look and the deletion.
    if ((await listTags(store, name)).size === 0) return;
    await untilWritten(
      `the tag list of ${name}`,
      async () => {
        const { entries, over } = await readEntries(store, tagListKey(name));
        const listed = new Set(entries.map((entry) => entry.name));
        const lost = [...(await listTags(store, name)).keys()].filter((tag) => !listed.has(tag));
        if (lost.length === 0) return undefined;
        // Its publisher writes the summary.
        const added = lost.map((tag) => ({ name: tag, detail: null }));
        return writeEntries(store, tagListKey(name), [...entries, ...added], over);
      },
      options,
    );
    await catalog.add(name, true);
  }

  async function reconcile(name: RepositoryName, realm: RealmName): Promise<void> {
    // The list before the tags: its writer writes it last, so what it names is there by then. What this run has written
    // is as good as what it would read.
    const own = written.get(name);
    const { entries, over } =
      own === undefined
        ? await readEntries(store, tagListKey(name))
        : { entries: own.entries, over: { etag: own.etag } };
    const tags = await listTags(store, name);
    if (tags.size === 0) {
      if (over !== null) await forget(name);
      return;
    }
    if (own === undefined && over !== null) written.set(name, { etag: over.etag, entries });
    const etags = new Map(entries.map(({ name: tag, detail }) => [tag, etagOf(detail)]));
    // Each change looks at the tag object again before it is written, so a publisher at work loses nothing.
    await forEachLimit(tags, READS_AT_ONCE, async ([tag, { etag }]) => {
      if (etags.get(tag) === etag) return;
      const entry = await readTagEntry({ store, name, realm }, tag);
      if (entry !== null) await update(name, tag, { kind: 'written', entry });
    });
    const vanished = entries.flatMap(({ name: tag }) => parseTag(tag) ?? []).filter((tag) => !tags.has(tag));
    await forEachLimit(vanished, READS_AT_ONCE, (tag) => update(name, tag, { kind: 'removed' }));
    await enter(name, 'exact');
    known.add(name);
  }

  return { update, forget, reconcile };
}

/** The etag of the tag object that an entry was made of; undefined if the entry does not name it. */
function etagOf(detail: unknown): unknown {
  return objectOf(detail).etag;
}

/** Merges the changes that arrive during a write into one next write. The latest change of a key counts. */
class Batch<K, V> {
  private readonly write: (changes: ReadonlyMap<K, V>) => Promise<void>;
  private pending = new Map<K, V>();
  private running: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;

  constructor(write: (changes: ReadonlyMap<K, V>) => Promise<void>) {
    this.write = write;
  }

  add(key: K, value: V): Promise<void> {
    this.pending.set(key, value);
    this.next ??= this.running
      .catch(() => undefined)
      .then(() => {
        const changes = this.pending;
        this.pending = new Map();
        this.next = undefined;
        this.running = this.write(changes);
        return this.running;
      });
    return this.next;
  }
}

async function updateTagList(
  store: WriteStore,
  name: RepositoryName,
  changes: ReadonlyMap<Tag, TagChange>,
  options: ConflictOptions,
): Promise<WrittenList> {
  const key = tagListKey(name);
  return untilWritten(
    `the tag list of ${name}`,
    async () => {
      // The list is read before the tags: a publisher that moves a tag in between writes the list after us, or makes
      // our write fail.
      const { entries, over } = await readEntries(store, key);
      const byName = new Map(entries.map((entry) => [entry.name, entry]));
      await forEachLimit(changes, READS_AT_ONCE, async ([tag, change]) => {
        const info = await store.head(tagKey(name, tag));
        if (info === null || isTombstone(info)) byName.delete(tag);
        else if (change.kind === 'written' && (info.etag === change.entry.etag || !byName.has(tag)))
          byName.set(tag, { name: tag, detail: change.entry });
      });
      const changed = [...byName.values()];
      if (over !== null && isSameList(entries, changed)) return { etag: over.etag, entries: changed };
      const put = await writeList(store, key, changed, over);
      return put === 'precondition-failed' ? put : { etag: put.etag, entries: changed };
    },
    options,
  );
}

/** A tag list, as this run wrote or read it last. */
interface WrittenList {
  readonly etag: string;
  readonly entries: readonly ListEntry<unknown>[];
}

/** How old the catalogue's detail of a repository may be. A run ends with `exact`; between, and at the edge, `hourly`. */
type Freshness = 'hourly' | 'exact';

const HOUR = 3_600_000;

/** Whether the catalogue has a repository, with a detail as fresh as that. */
async function isEntered(
  store: ReadStore,
  name: RepositoryName,
  entries: readonly ListEntry<unknown>[] | null,
  freshness: Freshness,
): Promise<boolean> {
  const entry = await readListEntry(store, CATALOG_KEY, name);
  if (entry === null || entries === null || entry.count > SUMMARIES_MAX) return entry !== null;
  const wanted = summarizeTagList(entries, entry.count);
  if (wanted === null || isSameDetail(wanted, entry.detail)) return true;
  if (freshness === 'exact') return false;
  const known = repositorySummaryOf(entry.detail);
  return known !== null && Date.parse(wanted.updated) - Date.parse(known.updated) < HOUR;
}

function isSameDetail(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

async function updateCatalog(
  store: WriteStore,
  names: ReadonlyMap<RepositoryName, true>,
  written: ReadonlyMap<RepositoryName, WrittenList>,
  options: ConflictOptions,
): Promise<ReadonlyMap<RepositoryName, WrittenList>> {
  const summarized = new Map<RepositoryName, WrittenList>();
  await untilWritten(
    'the catalogue',
    async () => {
      summarized.clear();
      const { entries, over } = await readEntries(store, CATALOG_KEY);
      const byName = new Map(entries.map((entry) => [entry.name, entry]));
      await forEachLimit(names.keys(), READS_AT_ONCE, async (name) => {
        const info = await store.head(tagListKey(name));
        if (info === null) byName.delete(name);
        else {
          const list = written.get(name);
          // The writer of a later list enters its own detail.
          const summary = list?.etag === info.etag ? summarizeTagList(list.entries, Math.max(byName.size, 1)) : null;
          if (list !== undefined && summary !== null) summarized.set(name, list);
          byName.set(name, { name, detail: summary ?? byName.get(name)?.detail ?? null });
        }
      });
      const all = [...byName.values()];
      const kept = all.length > SUMMARIES_MAX ? all.map(({ name }) => ({ name, detail: null })) : all;
      return writeEntries(store, CATALOG_KEY, kept, over, entries);
    },
    options,
  );
  return summarized;
}
