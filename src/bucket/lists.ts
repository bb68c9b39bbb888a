/**
 * The lists of a bucket, kept true while others write too: the tags of each repository, and the catalogue.
 *
 * Every change is a conditional write over the version that was read, after a look at what the list is about: a tag's entry is made by whoever wrote the tag's
 * object last, so an older summary never overwrites a newer one. What is asked for while a list is being written goes into the next write together.
 */
import { CATALOG_KEY, tagKey, tagListKey, tagsPrefix, parseKey } from '../registry/keys.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import { CorruptListError, decodeSortedList, encodeSortedList, type ListEntry } from '../registry/sorted-list.ts';
import type { WriteStore } from '../registry/store.ts';
import type { TagEntry } from '../registry/summary.ts';
import { CommandError } from '../publisher/cli/errors.ts';
import { eachOf } from './concurrency.ts';
import { readObject, READS_AT_ONCE } from './survey.ts';
import { isListed } from '../publisher/publish/list-lookup.ts';
import { type RetryOptions, untilWritten } from '../publisher/publish/retry.ts';

/** What a list is to say of a tag: it was written and has that entry, or it was removed. */
export type TagChange = { readonly kind: 'written'; readonly entry: TagEntry } | { readonly kind: 'removed' };

/** Keeps lists. */
export interface Lists {
  /** Puts a tag's change into the tag list, and the repository into the catalogue; resolves once both are written. Throws {@link CommandError}. */
  update(name: RepositoryName, tag: Tag, change: TagChange): Promise<void>;
  /** After the last tag of a repository was removed: takes away its list and its place in the catalogue, unless tags have come meanwhile. */
  forget(name: RepositoryName): Promise<void>;
}

/** Makes a keeper of lists; one a run, so that changes made at the same time are written together. */
export function keepLists(store: WriteStore, options: RetryOptions = {}): Lists {
  const tagLists = new Map<RepositoryName, Batch<Tag, TagChange>>();
  const catalog = new Batch<RepositoryName, true>((names) => updateCatalog(store, names, options));
  const known = new Set<RepositoryName>();

  async function update(name: RepositoryName, tag: Tag, change: TagChange): Promise<void> {
    let batch = tagLists.get(name);
    if (batch === undefined) {
      batch = new Batch((changes) => updateTagList(store, name, changes, options));
      tagLists.set(name, batch);
    }
    await batch.add(tag, change);
    // Also where the list was there before: whoever made it may have been cut off before the catalogue.
    if (known.has(name)) return;
    if (!(await isListed(store, CATALOG_KEY, name))) await catalog.add(name, true);
    known.add(name);
  }

  async function forget(name: RepositoryName): Promise<void> {
    known.delete(name);
    await store.delete([tagListKey(name)]);
    await catalog.add(name, true);
    // A publisher may have put a tag in between what was looked at and the deletion: its object tells.
    const tags = await tagsOf(store, name);
    if (tags.length === 0) return;
    await untilWritten(
      `the tag list of ${name}`,
      async () => {
        const { entries, condition } = await readEntries(store, tagListKey(name));
        const there = new Set(entries.map((entry) => entry.name));
        const lost = (await tagsOf(store, name)).filter((tag) => !there.has(tag));
        if (lost.length === 0) return undefined;
        // What it looks like is left to whoever published it; `null` shows nothing.
        return write(
          store,
          tagListKey(name),
          [...entries, ...lost.map((tag) => ({ name: tag, detail: null }))],
          condition,
        );
      },
      options,
    );
    await catalog.add(name, true);
  }

  return { update, forget };
}

/** Collects what is asked for while a write goes on, so that one write does for many. The latest change of a key counts. */
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
  options: RetryOptions,
): Promise<void> {
  const key = tagListKey(name);
  await untilWritten(
    `the tag list of ${name}`,
    async () => {
      // The list first, the tags after it: whoever moves a tag in between writes the list after us, or makes our write fail.
      const { entries, condition } = await readEntries(store, key);
      const byName = new Map(entries.map((entry) => [entry.name, entry]));
      await eachOf(changes, READS_AT_ONCE, async ([tag, change]) => {
        const info = await store.head(tagKey(name, tag));
        if (info === null) byName.delete(tag);
        else if (change.kind === 'written' && (info.etag === change.entry.etag || !byName.has(tag)))
          byName.set(tag, { name: tag, detail: change.entry });
      });
      return write(store, key, [...byName.values()], condition, entries);
    },
    options,
  );
}

async function updateCatalog(
  store: WriteStore,
  names: ReadonlyMap<RepositoryName, true>,
  options: RetryOptions,
): Promise<void> {
  await untilWritten(
    'the catalogue',
    async () => {
      const { entries, condition } = await readEntries(store, CATALOG_KEY);
      const byName = new Map(entries.map((entry) => [entry.name, entry]));
      await eachOf(names.keys(), READS_AT_ONCE, async (name) => {
        if ((await store.head(tagListKey(name))) === null) byName.delete(name);
        else if (!byName.has(name)) byName.set(name, { name, detail: null });
      });
      return write(store, CATALOG_KEY, [...byName.values()], condition, entries);
    },
    options,
  );
}

async function readEntries(
  store: WriteStore,
  key: string,
): Promise<{
  readonly entries: readonly ListEntry<unknown>[];
  readonly condition: 'absent' | { readonly etag: string };
}> {
  const object = await readObject(store, key);
  if (object === null) return { entries: [], condition: 'absent' };
  try {
    return { entries: decodeSortedList(object.bytes), condition: { etag: object.info.etag } };
  } catch (cause) {
    if (!(cause instanceof CorruptListError)) throw cause;
    throw new CommandError(`the list ${key} cannot be read: ${cause.message}`, {
      cause,
      hint: 'Mend it with: gantry verify --repair',
    });
  }
}

/** Writes a list unless it says the same as `before`. */
async function write(
  store: WriteStore,
  key: string,
  entries: readonly ListEntry<unknown>[],
  onlyIf: 'absent' | { readonly etag: string },
  before?: readonly ListEntry<unknown>[],
): Promise<undefined | 'precondition-failed'> {
  const { body, metadata } = encodeSortedList(entries);
  if (before !== undefined && onlyIf !== 'absent' && Buffer.from(encodeSortedList(before).body).equals(body))
    return undefined;
  const result = await store.put(key, body, { contentType: 'application/json', metadata, onlyIf });
  return result === 'precondition-failed' ? result : undefined;
}

async function tagsOf(store: WriteStore, name: RepositoryName): Promise<readonly Tag[]> {
  const tags: Tag[] = [];
  for await (const { key } of store.list(tagsPrefix(name))) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'tag') tags.push(parsed.tag);
  }
  return tags;
}
