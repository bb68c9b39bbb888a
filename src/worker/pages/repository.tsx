/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/r/<name>?q=&platform=&sort=&after=`: the page of a repository. At most two reads. */
import type { Child } from 'hono/jsx';
import type { RepositoryName } from '../../registry/name.ts';
import { repositoryUnknown } from '../endpoints/v2/known-repository.ts';
import type { Refused } from '../gateway/answer.ts';
import type { PageRequest } from './page-endpoint.tsx';
import { readTags } from './content/read-lists.ts';
import { filterTags, orderOf, platformsOf, readmeOf, sortTags, withoutCompanions } from './content/tag-order.ts';
import { RepositoryPage } from './views/repository-page.tsx';
import { searchText } from './visible-text.ts';

/** Tags per page. */
const PAGE_SIZE = 50;

/** The page of a repository. */
export async function repositoryPage(
  { store, query, place, isProtected, pulls }: PageRequest,
  name: RepositoryName,
): Promise<Child | Refused> {
  const text = searchText(query.get('q'), 128);
  const after = query.get('after');
  const order = orderOf(query.get('sort'));
  const platform = query.get('platform') === '' ? null : (query.get('platform')?.slice(0, 300) ?? null);
  const lower = text.toLowerCase();
  const keep = text === '' ? null : (tag: string) => tag.toLowerCase().includes(lower);
  const list = await readTags(store, name, { after, limit: PAGE_SIZE, keep });
  if (list === null) return repositoryUnknown(name);
  const title = { name, isProtected: isProtected(name), query: text, platform, order, after };
  if (list.kind === 'part') {
    const { tags, next, count } = list;
    const view = {
      ...title,
      tags,
      next,
      total: count,
      sorted: false,
      companions: 0,
      platforms: [],
      found: null,
      readme: readmeOf(tags),
    };
    return <RepositoryPage view={view} place={place} pulls={await pulls(name, null)} />;
  }
  const shown = withoutCompanions(list.tags, text);
  const found = sortTags(filterTags(shown, { text, platform }), order);
  // A tag that was removed meanwhile leads to the beginning.
  const start = after === null ? 0 : found.findIndex(({ tag }) => tag === after) + 1;
  const tags = found.slice(start, start + PAGE_SIZE);
  const view = {
    ...title,
    tags,
    next: start + PAGE_SIZE < found.length ? (tags.at(-1)?.tag ?? null) : null,
    total: list.tags.length,
    sorted: true,
    companions: list.tags.length - shown.length,
    platforms: platformsOf(shown),
    found: text === '' && platform === null ? null : found.length,
    readme: readmeOf(sortTags(shown, 'newest')),
  };
  return <RepositoryPage view={view} place={place} pulls={await pulls(name, null)} />;
}
