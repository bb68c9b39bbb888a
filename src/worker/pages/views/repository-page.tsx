/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx';
import type { RepositoryName, Tag } from '../../../registry/name.ts';
import type { TagSummary } from '../../../registry/summary.ts';
import { FormBadge, Legend, standingsOf } from './form-badge.tsx';
import { NameParts } from './navigation.tsx';
import { Age, Command, Page, type Place } from './layout.tsx';
import { repositoryPath, tagPath } from '../paths.ts';
import { counted, formatBytes, visible } from '../visible-text.ts';

/** The content of a repository's page. */
export interface RepositoryView {
  readonly name: RepositoryName;
  readonly isProtected: boolean;
  /** `summary` is null if the list has no details of the tag. */
  readonly tags: readonly { readonly tag: Tag; readonly summary: TagSummary | null }[];
  readonly total: number;
  /** The search text for tags; empty without a search. */
  readonly query: string;
  readonly after: string | null;
  readonly next: string | null;
}

/** A repository with its tags. */
export function RepositoryPage({
  view,
  place,
  pulls,
}: {
  readonly view: RepositoryView;
  readonly place: Place;
  readonly pulls: Child;
}) {
  const { name, isProtected, tags, total, query, after, next } = view;
  const example = tags.find(({ tag }) => tag === 'latest')?.tag ?? tags[0]?.tag;
  return (
    <Page title={name} place={place} section="repositories">
      <nav class="crumbs" aria-label="Where you are">
        <a href="/">Repositories</a> / {name}
      </nav>
      <h1>
        <NameParts name={name} /> {isProtected && <span class="chip">protected</span>}
      </h1>
      <p class="lead">{counted(total, 'tag')}</p>
      {example !== undefined && <Command>{`docker pull ${place.host}/${name}:${example}`}</Command>}
      <h2 id="tags">Tags</h2>
      {(total > 10 || query !== '') && (
        <form class="search" role="search" action={repositoryPath(name)} method="get">
          <label class="hidden" for="q">
            Search tags
          </label>
          <input
            id="q"
            name="q"
            type="search"
            value={query}
            placeholder="Part of a tag"
            maxlength={128}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
          />
          <button type="submit">Search</button>
        </form>
      )}
      {tags.length > 0 ? (
        <>
          <Legend />
          <ul class="tags" aria-labelledby="tags">
            {tags.map(({ tag, summary }) => (
              <li>
                <a class="tag" href={tagPath(name, tag)}>
                  {tag}
                </a>
                {summary !== null && <TagFacts summary={summary} now={place.now} />}
              </li>
            ))}
          </ul>
        </>
      ) : (
        <p class="empty">{query === '' ? 'There is no tag here.' : `No tag has “${visible(query, 80)}” in it.`}</p>
      )}
      {(next !== null || after !== null) && (
        <nav class="pages" aria-label="Pages">
          {after !== null && <a href={pagePath(name, query, null)}>First page</a>}
          {next !== null && (
            <a href={pagePath(name, query, next)} rel="next">
              Next page
            </a>
          )}
        </nav>
      )}
      {pulls}
    </Page>
  );
}

function TagFacts({ summary, now }: { readonly summary: TagSummary; readonly now: Date }) {
  const { updated, size, platforms } = summary;
  return (
    <>
      <span class="facts">
        <Age time={updated} now={now} />
        {size > 0 && <span>{formatBytes(size)}</span>}
        {platforms.length > 0 && <span>{platformsInShort(platforms)}</span>}
      </span>
      <ul class="badges" aria-label="Forms">
        {standingsOf(summary).map(({ form, standing }) => (
          <li>
            <FormBadge form={form} standing={standing} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** Maximum number of platforms shown in a list of tags; the tag's page shows all. */
const NAMED = 4;

function platformsInShort(platforms: readonly string[]): string {
  const named = platforms.slice(0, NAMED).map((platform) => visible(platform, 60));
  return platforms.length > NAMED
    ? `${named.join(', ')} and ${String(platforms.length - NAMED)} more`
    : named.join(', ');
}

function pagePath(name: RepositoryName, query: string, after: string | null): string {
  const parameters = new URLSearchParams();
  if (query !== '') parameters.set('q', query);
  if (after !== null) parameters.set('after', after);
  return parameters.size === 0 ? repositoryPath(name) : `${repositoryPath(name)}?${parameters.toString()}`;
}
