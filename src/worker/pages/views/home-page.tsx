/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { parseTag, type RepositoryName, type Tag } from '../../../registry/name.ts';
import { Age, Command, Page, type Place } from './layout.tsx';
import { NameParts, Pager, Search } from './navigation.tsx';
import { repositoryPath, tagPath, withQuery } from '../paths.ts';
import type { ListedRepository } from '../content/read-lists.ts';
import { counted, visible } from '../visible-text.ts';

/** A repository of the front page. */
export interface HomeRepository extends ListedRepository {
  readonly isProtected: boolean;
  /** The tags that match the search. */
  readonly matching: readonly string[];
}

/** The content of the front page. */
export interface HomeView {
  readonly repositories: readonly HomeRepository[];
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
      <Search
        path="/"
        query={query}
        label="Search repositories and tags"
        placeholder="Part of a name or tag"
        maxLength={255}
      />
      {repositories.length > 0 ? (
        <ul class="repos">
          {repositories.map((repository) => (
            <Repository repository={repository} now={place.now} />
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

function Repository({
  repository: { name, summary, isProtected, matching },
  now,
}: {
  readonly repository: HomeRepository;
  readonly now: Date;
}) {
  return (
    <li>
      <a class="name" href={repositoryPath(name)}>
        <NameParts name={name} />
      </a>
      {isProtected && <span class="chip">protected</span>}
      {summary !== null && (
        <span class="facts">
          {counted(summary.tags, 'tag')}, moved <Age time={summary.updated} now={now} />
        </span>
      )}
      {matching.length > 0 && (
        <ul class="matching" aria-label="Tags that match">
          {matching.flatMap((text) => {
            const tag = parseTag(text);
            return tag === null ? [] : [<TagLink name={name} tag={tag} />];
          })}
        </ul>
      )}
    </li>
  );
}

function TagLink({ name, tag }: { readonly name: RepositoryName; readonly tag: Tag }) {
  return (
    <li>
      <a href={tagPath(name, tag)}>{tag}</a>
    </li>
  );
}

function lead({ query, repositories, next, total }: HomeView): string {
  if (query !== '') {
    const found =
      next === null
        ? counted(repositories.length, 'repository', 'repositories')
        : `The first ${String(repositories.length)} repositories`;
    return `${found} on this page with “${visible(query, 80)}” in the name or in a tag.`;
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
          No repository has “{visible(query, 80)}” in its name or in a tag. <a href="/">Show all</a>
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
      <p>Then:</p>
      <Command>gantry publish dir:busybox library/busybox:latest</Command>
    </div>
  );
}

function homePath(query: string, after: string | null): string {
  return withQuery('/', { q: query, after });
}
