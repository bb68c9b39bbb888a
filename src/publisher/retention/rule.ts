/** Retention: which tags are no longer worth keeping. Pure. */
import { isCompanionTag } from '../../bucket/image-source.ts';
import type { Tag } from '../../registry/name.ts';
import { globFilter } from '../sync/select.ts';

/**
 * What goes: tags for which every condition holds. At least one of `keep` and `olderThan` is set.
 */
export interface RetentionRule {
  /** Globs, as those of `sync`; empty: all tags. */
  readonly tags: readonly string[];
  /** This many of the matching tags stay, those that moved last. */
  readonly keep: number | undefined;
  /** Tags that moved within this time stay, in milliseconds. */
  readonly olderThan: number | undefined;
}

/** A tag, and when it moved last. */
export interface DatedTag {
  readonly tag: Tag;
  /** Milliseconds since 1970; null where the tag cannot be read. */
  readonly moved: number | null;
}

/** Orders tags that moved in the same second, such as those of one sync: 10 is newer than 9. */
const NATURAL = new Intl.Collator('en', { numeric: true });

/**
 * The tags of a repository that a rule deletes, the newest first. `tags`: those that may be deleted at all; only they
 * count for `keep`. Tags that are named by a digest follow their image, and a tag without a time stays. `now` in
 * milliseconds.
 */
export function selectExpired(tags: readonly DatedTag[], rule: RetentionRule, now: number): readonly DatedTag[] {
  const isWanted = globFilter(rule.tags);
  return tags
    .flatMap(({ tag, moved }) => (moved === null || isCompanionTag(tag) || !isWanted(tag) ? [] : [{ tag, moved }]))
    .sort((a, b) => b.moved - a.moved || NATURAL.compare(b.tag, a.tag))
    .slice(rule.keep ?? 0)
    .filter(({ moved }) => rule.olderThan === undefined || moved < now - rule.olderThan);
}
