/** The search of the front page: repositories by name, and by their tags. Pure. */
import { matchesSearch } from '../../endpoints/name-search.ts';
import type { ListedRepository } from './read-lists.ts';

/** Tags that a result names, at most. */
const TAGS_SHOWN = 5;

/**
 * What a search matches of a repository: its name, or the tags that moved last. `name:tag` looks for parts of both.
 * Null if it does not match.
 */
export function matchRepository(
  query: string,
  { name, summary }: ListedRepository,
): { readonly tags: readonly string[] } | null {
  const at = query.indexOf(':');
  const nameText = at < 0 ? query : query.slice(0, at);
  const tagText = (at < 0 ? query : query.slice(at + 1)).toLowerCase();
  const isNamed = matchesSearch(nameText, name);
  const found = (summary?.recent ?? []).filter((tag) => tag.toLowerCase().includes(tagText));
  const tags = found.slice(0, TAGS_SHOWN);
  if (at >= 0) return isNamed && (tags.length > 0 || tagText === '') ? { tags } : null;
  if (tags.length > 0) return { tags };
  return isNamed ? { tags: [] } : null;
}
