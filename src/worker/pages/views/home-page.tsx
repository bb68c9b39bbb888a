/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { RepositoryName } from '../../../registry/name.ts';
import { Command, Page, type Place } from './layout.tsx';
import { NameParts, Pager, Search } from './navigation.tsx';
import { repositoryPath, withQuery } from '../paths.ts';
import { counted, visible } from '../visible-text.ts';

/** The content of the front page. */
export interface HomeView {
  readonly repositories: readonly { readonly name: RepositoryName; readonly isProtected: boolean }[];
  /** The search text; empty without a search. */
  readonly query: string;
  /** The total number; null if the caller may not see all, or if there is a search. */
  readonly total: number | null;
  /** The name after which this page starts; null on the first page. */
  readonly after: string | null;
  /** The name after which the next page starts; null on the last page. */
  readonly next: string | null;
}

/** The front page: repositories, with a search. */
export function HomePage({ view, place }: { readonly view: HomeView; readonly place: Place }) {
  const { repositories, query, total, after, next } = view;
  return (
    <Page
      title={query === '' ? 'Repositories' : `${visible(query, 80)} · Repositories`}
      place={place}
      section="repositories"
    >
      <h1>Repositories</h1>
      <p class="lead">{lead(view)}</p>
      <Search path="/" query={query} label="Search repositories" placeholder="Part of a name" maxLength={255} />
      {repositories.length > 0 ? (
        <ul class="repos">
          {repositories.map(({ name, isProtected }) => (
            <li>
              <a href={repositoryPath(name)}>
                <span class="name">
                  <NameParts name={name} />
                </span>
                {isProtected && <span class="chip">protected</span>}
              </a>
            </li>
          ))}
        </ul>
      ) : (
        <Nothing query={query} isFirst={after === null} isEmpty={total === 0} />
      )}
      <Pager
        first={after === null ? null : homePath(query, null)}
        next={next === null ? null : homePath(query, next)}
        label={repositories.length > 0 ? 'Next page' : 'Search further'}
      />
    </Page>
  );
}

function lead({ query, repositories, next, total }: HomeView): string {
  if (query !== '') {
    const found =
      next === null
        ? counted(repositories.length, 'repository', 'repositories')
        : `The first ${String(repositories.length)} repositories`;
    return `${found} on this page with “${visible(query, 80)}” in the name.`;
  }
  return total === null
    ? 'What you may pull from here.'
    : `${counted(total, 'repository', 'repositories')} to pull from here.`;
}

function Nothing({
  query,
  isFirst,
  isEmpty,
}: {
  readonly query: string;
  readonly isFirst: boolean;
  readonly isEmpty: boolean;
}) {
  if (query !== '') {
    return (
      <div class="empty">
        <p>
          No repository has “{visible(query, 80)}” in its name. <a href="/">Show all</a>
        </p>
      </div>
    );
  }
  if (!isFirst) return <p class="empty">There is nothing behind this.</p>;
  return (
    <div class="empty">
      <p>
        {isEmpty
          ? 'Nothing is published yet. This is how to begin:'
          : 'Nothing is published that you may see. This is how to publish:'}
      </p>
      <Command>skopeo copy --format v2s2 docker://docker.io/library/busybox:latest dir:busybox</Command>
      <p></p>
      <Command>gantry publish dir:busybox library/busybox:latest</Command>
    </div>
  );
}

function homePath(query: string, after: string | null): string {
  return withQuery('/', { q: query, after });
}
