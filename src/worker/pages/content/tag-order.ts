/** The orders and filters of a list of tags. Pure. */
import { isCompanionTag } from '../../../bucket/image-source.ts';
import type { Tag } from '../../../registry/name.ts';
import type { TagSummary } from '../../../registry/summary.ts';
import { visible } from '../visible-text.ts';

/** A tag of a list; `summary` is null if the list has no details of it. */
export interface ListedTag {
  readonly tag: Tag;
  readonly summary: TagSummary | null;
}

/** The orders of a list of tags, with their titles. The first is the default. */
export const ORDERS = { newest: 'Newest first', name: 'Name', size: 'Largest first' } as const;

/** An order. */
export type Order = keyof typeof ORDERS;

/** Reads an order; the default for anything else. */
export function orderOf(text: string | null): Order {
  return text === 'name' || text === 'size' ? text : 'newest';
}

/** Which tags a page shows. */
export interface TagFilter {
  /** Part of the name, in any case; empty: all. */
  readonly text: string;
  /** `os/architecture[/variant]`; null: all. */
  readonly platform: string | null;
}

/**
 * The tags without those that cosign names by the digest of an image: signatures and attestations have a page of their
 * own. They stay if the search names one.
 */
export function withoutCompanions(tags: readonly ListedTag[], text: string): readonly ListedTag[] {
  return text.toLowerCase().startsWith('sha') ? tags : tags.filter(({ tag }) => !isCompanionTag(tag));
}

/** The tags that match. */
export function filterTags(tags: readonly ListedTag[], { text, platform }: TagFilter): readonly ListedTag[] {
  const lower = text.toLowerCase();
  return tags.filter(
    ({ tag, summary }) =>
      tag.toLowerCase().includes(lower) && (platform === null || summary?.platforms.includes(platform) === true),
  );
}

/** The tags in an order. Tags without details come last, equal ones in the order of names, newest version first. */
export function sortTags(tags: readonly ListedTag[], order: Order): readonly ListedTag[] {
  const byName = (a: ListedTag, b: ListedTag): number => compareNatural(a.tag, b.tag);
  const newest = (a: ListedTag, b: ListedTag): number => {
    const [one, other] = [a.summary?.updated ?? '', b.summary?.updated ?? ''];
    return one === other ? byName(b, a) : one < other ? 1 : -1;
  };
  const largest = (a: ListedTag, b: ListedTag): number =>
    (b.summary?.size ?? -1) - (a.summary?.size ?? -1) || byName(a, b);
  return [...tags].sort(order === 'name' ? byName : order === 'size' ? largest : newest);
}

// The order must not depend on where the Worker runs, so the language is fixed.
const NATURAL = new Intl.Collator('en', { numeric: true });

/** Compares names as people do: `1.0.2` comes before `1.0.10`. */
export function compareNatural(a: string, b: string): number {
  return NATURAL.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** The platforms of some tags that can be shown as they are, each once, the most common first. */
export function platformsOf(tags: readonly ListedTag[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { summary } of tags)
    for (const platform of summary?.platforms ?? []) counts.set(platform, (counts.get(platform) ?? 0) + 1);
  return [...counts]
    .filter(([platform]) => platform === visible(platform, 80))
    .sort(([a, m], [b, n]) => n - m || compareNatural(a, b))
    .map(([platform]) => platform);
}

/** What a repository is, as its images say. */
export interface Readme {
  /** The tag that says it. */
  readonly tag: Tag;
  readonly description: string | null;
  readonly documentation: string | null;
}

/** The text of the tag `latest`, otherwise of the newest that has one. `sorted`: newest first. Null without any. */
export function readmeOf(sorted: readonly ListedTag[]): Readme | null {
  const withText = sorted.filter(
    ({ summary }) => summary?.description !== undefined || summary?.documentation !== undefined,
  );
  const chosen = withText.find(({ tag }) => tag === 'latest') ?? withText[0];
  if (chosen === undefined) return null;
  const { description = null, documentation = null } = chosen.summary ?? {};
  return { tag: chosen.tag, description, documentation };
}
