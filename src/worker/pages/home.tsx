/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/?q=&after=`: the repositories that the caller may see, with a search. At most two reads. */
import { matchesSearch } from '../endpoints/name-search.ts';
import { HomePage } from './views/home-page.tsx';
import type { EdgeContext } from '../gateway/edge-context.ts';
import { answerPage } from './page-endpoint.tsx';
import { readRepositories } from './read-lists.ts';
import { searchText } from './visible-text.ts';
import { parseRepositoryName } from '../../registry/name.ts';

/** Repositories per page. */
const PAGE_SIZE = 60;

/** Answers with the front page. */
export function home(context: EdgeContext): Promise<Response> {
  return answerPage(context, { kind: 'listing' }, async ({ store, query, mayList, isProtected, place }) => {
    const wanted = searchText(query.get('q'), 255);
    const after = query.get('after');
    const keep =
      mayList === null && wanted === ''
        ? null
        : (text: string) => {
            const name = parseRepositoryName(text);
            return name !== null && (mayList === null || mayList(name)) && matchesSearch(wanted, name);
          };
    const { names, next, count } = await readRepositories(store, { after, limit: PAGE_SIZE, keep });
    const repositories = names.map((name) => ({ name, isProtected: isProtected(name) }));
    return (
      <HomePage
        view={{ repositories, query: wanted, total: keep === null ? count : null, after, next }}
        place={place}
      />
    );
  });
}
