/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** `/?q=&after=`: the repositories that the caller may see, with a search. At most two reads. */
import type { EdgeContext } from '../gateway/edge-context.ts';
import { answerPage } from './page-endpoint.tsx';
import { readRepositories } from './content/read-lists.ts';
import { matchRepository } from './content/repository-search.ts';
import { HomePage } from './views/home-page.tsx';
import { searchText } from './visible-text.ts';

/** Repositories per page. */
const PAGE_SIZE = 60;

/** Answers with the front page. */
export function home(context: EdgeContext): Promise<Response> {
  return answerPage(context, { kind: 'listing' }, async ({ store, query, mayList, isProtected, place }) => {
    const wanted = searchText(query.get('q'), 255);
    const after = query.get('after');
    const found = await readRepositories(store, {
      after,
      limit: PAGE_SIZE,
      isVisible: mayList,
      matches: wanted === '' ? null : (repository) => matchRepository(wanted, repository) !== null,
    });
    const repositories = found.repositories.map((repository) => ({
      ...repository,
      isProtected: isProtected(repository.name),
      matching: wanted === '' ? [] : (matchRepository(wanted, repository)?.tags ?? []),
    }));
    const total = mayList === null && wanted === '' ? found.count : null;
    return <HomePage view={{ repositories, query: wanted, total, after, next: found.next }} place={place} />;
  });
}
