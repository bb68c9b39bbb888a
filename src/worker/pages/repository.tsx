/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/r/<name>`: the page of a repository. At most two reads. */
import type { Child } from 'hono/jsx';
import type { RepositoryName } from '../../registry/name.ts';
import { repositoryUnknown } from '../endpoints/v2/known-repository.ts';
import type { Refused } from '../gateway/answer.ts';
import type { PageRequest } from './page-endpoint.tsx';
import { readTags } from './read-lists.ts';
import { RepositoryPage } from './views/repository-page.tsx';
import { searchText } from './visible-text.ts';

/** Tags per page. */
const PAGE_SIZE = 50;

/** The page of a repository. */
export async function repositoryPage(
  { store, query, place, isProtected, pulls }: PageRequest,
  name: RepositoryName,
): Promise<Child | Refused> {
  const wanted = searchText(query.get('q'), 128);
  const after = query.get('after');
  const lower = wanted.toLowerCase();
  const keep = wanted === '' ? null : (tag: string) => tag.toLowerCase().includes(lower);
  const part = await readTags(store, name, { after, limit: PAGE_SIZE, keep });
  if (part === null) return repositoryUnknown(name);
  const { tags, next, count } = part;
  return (
    <RepositoryPage
      view={{ name, isProtected: isProtected(name), tags, total: count, query: wanted, after, next }}
      place={place}
      pulls={await pulls(name, null)}
    />
  );
}
