/** Parts of lists for pages, filtered by a search, with at most two reads for lists of any length. */
import { isReason } from '../../registry/errors.ts';
import { CATALOG_KEY, tagListKey } from '../../registry/keys.ts';
import { type Form, FORMS } from '../../registry/media-type.ts';
import { compareNames, parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import { decodeSpan, type Leaf, leavesOfPage, type ListHeader, spanOf } from '../../registry/sorted-list.ts';
import type { ReadStore } from '../../registry/store.ts';
import type { TagSummary } from '../../registry/summary.ts';
import { type OpenList, openList } from '../../bucket/list-page.ts';

/** The requested part of a list. */
export interface Wanted {
  /** The part starts after this name, which need not exist; null: at the beginning. */
  readonly after: string | null;
  readonly limit: number;
  /** Which names match the search; null: all. */
  readonly keep: ((name: string) => boolean) | null;
}

/** Repositories of a page. */
export interface RepositoriesPart {
  readonly names: readonly RepositoryName[];
  /** The name after which the next page starts; null on the last page. */
  readonly next: string | null;
  /** The total number, matching or not. */
  readonly count: number;
}

/** Tags of a page. */
export interface TagsPart {
  readonly tags: readonly { readonly tag: Tag; readonly summary: TagSummary | null }[];
  readonly next: string | null;
  readonly count: number;
}

/**
 * Maximum size of the names or details that one page reads, in bytes: the names of about 100,000 entries, or the
 * details of 20,000. A longer search continues on the next page.
 */
const SPAN_MAX = 4 * 1024 * 1024;

/**
 * Size of the first read of a tag list, in bytes. It contains all names unless there are very many, so that the second
 * read can get the details.
 */
const TAGS_FIRST_READ = 2 * 1024 * 1024;

/**
 * Reads repositories from the catalogue. A missing catalogue counts as empty. Throws `StorageError`,
 * `CorruptListError`.
 */
export async function readRepositories(store: ReadStore, wanted: Wanted): Promise<RepositoriesPart> {
  const list = await openList(store, CATALOG_KEY);
  if (list === null) return { names: [], next: null, count: 0 };
  const { names, next } = await scan(list, wanted);
  return { names: names.flatMap((name) => parseRepositoryName(name) ?? []), next, count: list.header.count };
}

/** Reads tags with their details; null if the repository does not exist. Throws `StorageError`, `CorruptListError`. */
export async function readTags(store: ReadStore, name: RepositoryName, wanted: Wanted): Promise<TagsPart | null> {
  const list = await openList(store, tagListKey(name), TAGS_FIRST_READ);
  if (list === null) return null;
  const { names, next, leaves, all } = await scan(list, wanted);
  const summaries = await summariesOf(list, names, leaves, all);
  const tags = names.flatMap((text) => {
    const tag = parseTag(text);
    return tag === null ? [] : [{ tag, summary: summaries.get(text) ?? null }];
  });
  return { tags, next, count: list.header.count };
}

interface Scanned {
  readonly names: readonly string[];
  readonly next: string | null;
  /** The searched part, and all names in it. */
  readonly leaves: readonly Leaf[];
  readonly all: readonly string[];
}

async function scan(list: OpenList, { after, limit, keep }: Wanted): Promise<Scanned> {
  const { header } = list;
  const leaves = leavesOfPage(header, after, keep === null ? limit : header.count);
  if (leaves === null) return { names: [], next: null, leaves: [], all: [] };
  const within = leavesWithin(header, leaves, 'names');
  const all = decodeSpan(await list.bytesOf(within, 'names')).filter((name) => typeof name === 'string');
  const meant = all.filter(
    (name) => (after === null || compareNames(name, after) > 0) && (keep === null || keep(name)),
  );
  const names = meant.slice(0, limit);
  const isEnd = within.at(-1) === header.leaves.at(-1);
  const next = meant.length > limit ? names.at(-1) : isEnd ? null : all.at(-1);
  return { names, next: next ?? null, leaves: within, all };
}

/** The first leaves whose span is at most {@link SPAN_MAX}, but at least one. */
function leavesWithin(header: ListHeader, leaves: readonly Leaf[], part: 'names' | 'details'): readonly Leaf[] {
  let count = leaves.length;
  while (count > 1 && spanOf(header, leaves.slice(0, count), part).length > SPAN_MAX) count = Math.ceil(count / 2);
  return leaves.slice(0, count);
}

/** The details of each name; none if they need a third read, or too long a read. */
async function summariesOf(
  list: OpenList,
  names: readonly string[],
  leaves: readonly Leaf[],
  all: readonly string[],
): Promise<ReadonlyMap<string, TagSummary | null>> {
  const first = names[0];
  const last = names.at(-1);
  if (first === undefined || last === undefined || !list.isAtHand(leaves, 'names')) return new Map();
  const from = leaves.findLastIndex((leaf) => compareNames(leaf.first, first) <= 0);
  const to = leaves.findLastIndex((leaf) => compareNames(leaf.first, last) <= 0);
  const needed = leaves.slice(Math.max(0, from), to + 1);
  const start = all.indexOf(needed[0]?.first ?? '');
  if (start < 0 || spanOf(list.header, needed, 'details').length > SPAN_MAX) return new Map();
  const details = decodeSpan(await list.bytesOf(needed, 'details'));
  return new Map(details.map((detail, index) => [all[start + index] ?? '', summaryOf(detail)]));
}

/** Parses a tag's details; null without readable details. */
export function summaryOf(value: unknown): TagSummary | null {
  if (typeof value !== 'object' || value === null) return null;
  const { updated, size, platforms, published, derived, missing } = value as Readonly<Record<string, unknown>>;
  if (typeof updated !== 'string' || typeof size !== 'number') return null;
  return {
    updated,
    size,
    platforms: listOf(platforms).filter((one) => typeof one === 'string'),
    published: listOf(published).filter(isForm),
    derived: listOf(derived).filter(isForm),
    missing: listOf(missing).flatMap((row) => {
      const { form, reason } = (row ?? {}) as Readonly<Record<string, unknown>>;
      // A newer publisher may write reasons that this Worker does not know.
      return isForm(form)
        ? [{ form, reason: typeof reason === 'string' && isReason(reason) ? reason : ('form-not-published' as const) }]
        : [];
    }),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function isForm(value: unknown): value is Form {
  return FORMS.some((form) => form === value);
}
