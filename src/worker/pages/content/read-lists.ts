/** Parts of lists for pages, filtered by a search, with at most two reads for lists of any length. */
import { isReason } from '../../../registry/errors.ts';
import { CATALOG_KEY, tagListKey } from '../../../registry/keys.ts';
import { type Form, FORMS } from '../../../registry/media-type.ts';
import { compareNames, parseRepositoryName, parseTag, type RepositoryName } from '../../../registry/name.ts';
import { decodeSpan, type Leaf, leavesOfPage, type ListHeader, spanOf } from '../../../registry/sorted-list.ts';
import type { ReadStore } from '../../../registry/store.ts';
import type { RepositorySummary, TagSummary } from '../../../registry/summary.ts';
import { listOf, objectOf } from '../../../registry/values/json.ts';
import { type OpenList, openList } from '../../../bucket/list-page.ts';
import { repositorySummaryOf, SUMMARIES_MAX } from '../../../bucket/repository-summary.ts';
import type { ListedTag } from './tag-order.ts';

/** The requested part of a list. */
export interface Wanted {
  /** The part starts after this name, which need not exist; null: at the beginning. */
  readonly after: string | null;
  readonly limit: number;
  /** Which names match the search; null: all. */
  readonly keep: ((name: string) => boolean) | null;
}

/** A repository of a page; `summary` is null if the catalogue has no details of it. */
export interface ListedRepository {
  readonly name: RepositoryName;
  readonly summary: RepositorySummary | null;
}

/** Repositories of a page. */
export interface RepositoriesPart {
  readonly repositories: readonly ListedRepository[];
  /** The name after which the next page starts; null on the last page. */
  readonly next: string | null;
  /** The total number, matching or not. */
  readonly count: number;
}

/** Tags of a page. */
export interface TagsPart {
  readonly tags: readonly ListedTag[];
  readonly next: string | null;
  readonly count: number;
}

/** All tags of a repository, or a part of a list that is too long to be sorted. */
export type TagList =
  { readonly kind: 'all'; readonly tags: readonly ListedTag[] } | ({ readonly kind: 'part' } & TagsPart);

/**
 * Longest list that is read whole, so that it can be sorted and filtered, in tags. It takes about 30 ms of processor
 * time; a list of 1,000 tags takes 5.
 */
export const SORTED_MAX = 5_000;

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

/** Size of the first read of the catalogue, in bytes: names and details of about 1,000 repositories. */
const CATALOG_FIRST_READ = 1024 * 1024;

/** What the search of the front page looks at. */
export interface RepositorySearch {
  readonly after: string | null;
  readonly limit: number;
  /** Whether the caller may see the repository. */
  readonly isVisible: ((name: RepositoryName) => boolean) | null;
  /** Whether it matches the search; null: all match. */
  readonly matches: ((repository: ListedRepository) => boolean) | null;
}

/**
 * Reads repositories from the catalogue, with their details as far as two reads have them. A missing catalogue counts
 * as empty. Throws `StorageError`, `CorruptRecordError`.
 */
export async function readRepositories(store: ReadStore, wanted: RepositorySearch): Promise<RepositoriesPart> {
  const list = await openList(store, CATALOG_KEY, CATALOG_FIRST_READ);
  if (list === null) return { repositories: [], next: null, count: 0 };
  const { after, limit, isVisible, matches } = wanted;
  const { leaves, all, isEnd } = await namesAfter(list, after, isVisible === null && matches === null ? limit : null);
  const seen = all.flatMap((text) => {
    const name = after !== null && compareNames(text, after) <= 0 ? null : parseRepositoryName(text);
    return name !== null && (isVisible === null || isVisible(name)) ? [name] : [];
  });
  // A larger catalogue has no details.
  const described = list.header.count > SUMMARIES_MAX ? [] : matches === null ? seen.slice(0, limit) : seen;
  const details = await detailsOf(list, leaves, all, described);
  const found = seen
    .map((name) => ({ name, summary: repositorySummaryOf(details.get(name)) }))
    .filter((repository) => matches === null || matches(repository));
  const repositories = found.slice(0, limit);
  const next = found.length > limit ? repositories.at(-1)?.name : isEnd ? null : all.at(-1);
  return { repositories, next: next ?? null, count: list.header.count };
}

/**
 * Reads the tags of a repository with their details: all, or if there are more than {@link SORTED_MAX}, those of a page
 * in the order of names. Null if the repository does not exist. Throws `StorageError`, `CorruptRecordError`.
 */
export async function readTags(store: ReadStore, name: RepositoryName, wanted: Wanted): Promise<TagList | null> {
  const list = await openList(store, tagListKey(name), TAGS_FIRST_READ);
  if (list === null) return null;
  const { header } = list;
  if (header.count <= SORTED_MAX && spanOf(header, header.leaves, 'details').length <= SPAN_MAX) {
    const { leaves, all } = await namesAfter(list, null, null);
    return { kind: 'all', tags: listedTags(all, await detailsOf(list, leaves, all, all)) };
  }
  const { names, next, leaves, all } = await scan(list, wanted);
  return {
    kind: 'part',
    tags: listedTags(names, await detailsOf(list, leaves, all, names)),
    next,
    count: header.count,
  };
}

function listedTags(names: readonly string[], details: ReadonlyMap<string, unknown>): readonly ListedTag[] {
  return names.flatMap((text) => {
    const tag = parseTag(text);
    return tag === null ? [] : [{ tag, summary: summaryOf(details.get(text)) }];
  });
}

interface Scanned {
  readonly names: readonly string[];
  readonly next: string | null;
  /** The searched part, and all names in it. */
  readonly leaves: readonly Leaf[];
  readonly all: readonly string[];
}

async function scan(list: OpenList, { after, limit, keep }: Wanted): Promise<Scanned> {
  const { leaves, all, isEnd } = await namesAfter(list, after, keep === null ? limit : null);
  const meant = all.filter(
    (name) => (after === null || compareNames(name, after) > 0) && (keep === null || keep(name)),
  );
  const names = meant.slice(0, limit);
  const next = meant.length > limit ? names.at(-1) : isEnd ? null : all.at(-1);
  return { names, next: next ?? null, leaves, all };
}

/** The names of the leaves after a name, as many as a read may have. `limit`: how many are needed; null: all. */
async function namesAfter(
  list: OpenList,
  after: string | null,
  limit: number | null,
): Promise<{ readonly leaves: readonly Leaf[]; readonly all: readonly string[]; readonly isEnd: boolean }> {
  const { header } = list;
  const leaves = leavesOfPage(header, after, limit ?? header.count);
  if (leaves === null) return { leaves: [], all: [], isEnd: true };
  const within = leavesWithin(header, leaves, 'names');
  const all = decodeSpan(await list.bytesOf(within, 'names')).filter((name) => typeof name === 'string');
  return { leaves: within, all, isEnd: within.at(-1) === header.leaves.at(-1) };
}

/** The first leaves whose span is at most {@link SPAN_MAX}, but at least one. */
function leavesWithin(header: ListHeader, leaves: readonly Leaf[], part: 'names' | 'details'): readonly Leaf[] {
  let count = leaves.length;
  while (count > 1 && spanOf(header, leaves.slice(0, count), part).length > SPAN_MAX) count = Math.ceil(count / 2);
  return leaves.slice(0, count);
}

/** The details of neighbouring names; none if they need a third read, or too long a read. */
async function detailsOf(
  list: OpenList,
  leaves: readonly Leaf[],
  all: readonly string[],
  names: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  const first = names[0];
  const last = names.at(-1);
  if (first === undefined || last === undefined) return new Map();
  const from = leaves.findLastIndex((leaf) => compareNames(leaf.first, first) <= 0);
  const to = leaves.findLastIndex((leaf) => compareNames(leaf.first, last) <= 0);
  const needed = leaves.slice(Math.max(0, from), to + 1);
  // The names may have cost the second read already.
  if (!list.isAtHand(leaves, 'names') && !list.isAtHand(needed, 'details')) return new Map();
  const start = all.indexOf(needed[0]?.first ?? '');
  if (start < 0 || spanOf(list.header, needed, 'details').length > SPAN_MAX) return new Map();
  const details = decodeSpan(await list.bytesOf(needed, 'details'));
  return new Map(details.map((detail, index) => [all[start + index] ?? '', detail]));
}

/** Parses a tag's details; null without readable details. */
export function summaryOf(value: unknown): TagSummary | null {
  const { updated, size, platforms, published, derived, missing, description, documentation } = objectOf(value);
  if (typeof updated !== 'string' || typeof size !== 'number') return null;
  return {
    updated,
    size,
    platforms: listOf(platforms).filter((one) => typeof one === 'string'),
    published: listOf(published).filter(isForm),
    derived: listOf(derived).filter(isForm),
    missing: listOf(missing).flatMap((row) => {
      const { form, reason } = objectOf(row);
      // A newer publisher may write reasons that this Worker does not know.
      return isForm(form)
        ? [{ form, reason: typeof reason === 'string' && isReason(reason) ? reason : ('form-not-published' as const) }]
        : [];
    }),
    ...(typeof description === 'string' && { description }),
    ...(typeof documentation === 'string' && { documentation }),
  };
}

function isForm(value: unknown): value is Form {
  return FORMS.some((form) => form === value);
}
