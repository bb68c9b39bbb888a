/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx';
import type { RepositoryName } from '../../../registry/name.ts';
import type { TagSummary } from '../../../registry/summary.ts';
import { repositoryPath, tagPath } from '../paths.ts';
import { type ListedTag, type Order, ORDERS, type Readme } from '../content/tag-order.ts';
import { formatBytes } from '../../../registry/values/byte-size.ts';
import { counted, visible } from '../visible-text.ts';
import { FormBadge, Legend, standingsOf } from './form-badge.tsx';
import { Age, Command, Page, type Place } from './layout.tsx';
import { Choices, Crumbs, NameParts, Pager, Search } from './navigation.tsx';
import { ImageText } from './values.tsx';

/** The content of a repository's page. */
export interface RepositoryView {
  readonly name: RepositoryName;
  readonly isProtected: boolean;
  readonly tags: readonly ListedTag[];
  readonly total: number;
  /** How many tags of signatures and attestations are left out. */
  readonly companions: number;
  /** Whether the list could be sorted and filtered as a whole. */
  readonly sorted: boolean;
  readonly order: Order;
  /** The search text for tags; empty without a search. */
  readonly query: string;
  /** The platform that tags must have; null: any. */
  readonly platform: string | null;
  /** The platforms of all tags, the most common first. */
  readonly platforms: readonly string[];
  /** How many tags match; null without a filter, and where it is not known. */
  readonly found: number | null;
  readonly readme: Readme | null;
  readonly after: string | null;
  readonly next: string | null;
}

/** From this number of tags on, there is a search. */
const SEARCH_FROM = 6;

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
  const { name, isProtected, tags, total, sorted, query, platform, platforms, found, readme, after, next, companions } =
    view;
  const example = tags.find(({ tag }) => tag === 'latest')?.tag ?? tags[0]?.tag;
  const isFiltered = query !== '' || platform !== null;
  return (
    <Page title={name} place={place} section="repositories">
      <Crumbs name={name} />
      <h1>
        <NameParts name={name} /> {isProtected && <span class="chip">protected</span>}
      </h1>
      {readme?.description != null && <p>{visible(readme.description, 300)}</p>}
      {readme?.documentation != null && (
        <p>
          Documentation: <ImageText text={readme.documentation} limit={300} />
        </p>
      )}
      <p class="lead">
        {counted(total, 'tag')}
        {companions > 0 && (
          <>
            , of which <a href={repositoryPath(name, { q: 'sha' })}>{companions}</a> are signatures and attestations
          </>
        )}
        {readme !== null && (
          <>
            ; described by <a href={tagPath(name, readme.tag)}>{readme.tag}</a>
          </>
        )}
      </p>
      {example !== undefined && <Command>{`docker pull ${place.host}/${name}:${example}`}</Command>}
      <h2 id="tags">Tags</h2>
      {(total >= SEARCH_FROM || isFiltered) && (
        <Search
          path={repositoryPath(name)}
          query={query}
          label="Search tags"
          placeholder="Part of a tag"
          maxLength={128}
        >
          {platforms.length > 1 && <PlatformSelect platforms={platforms} chosen={platform} />}
          {view.order !== 'newest' && <input type="hidden" name="sort" value={view.order} />}
        </Search>
      )}
      {sorted && total > 1 && (
        <Choices
          label="Order"
          choices={(Object.keys(ORDERS) as Order[]).map((order) => ({
            text: ORDERS[order],
            href: pagePath(view, { order }),
            isCurrent: order === view.order,
          }))}
        />
      )}
      {!sorted && (
        <p class="quiet">
          These are too many tags to be sorted by time or size: they are in the order of their names. The search finds
          parts of a tag.
        </p>
      )}
      {found !== null && (
        <p class="quiet" role="status">
          {counted(found, 'tag matches', 'tags match')}
          {platform !== null && ` for ${visible(platform, 80)}`}. <a href={repositoryPath(name)}>Show all</a>
        </p>
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
        <p class="empty">{isFiltered ? 'No tag matches.' : 'There is no tag here.'}</p>
      )}
      <Pager
        first={after === null ? null : pagePath(view, {})}
        next={next === null ? null : pagePath(view, { next })}
      />
      {pulls}
    </Page>
  );
}

/** Maximum number of platforms to choose from. */
const PLATFORMS_MAX = 40;

function PlatformSelect({
  platforms,
  chosen,
}: {
  readonly platforms: readonly string[];
  readonly chosen: string | null;
}) {
  return (
    <>
      <label class="hidden" for="platform">
        Platform
      </label>
      <select id="platform" name="platform">
        <option value="">Any platform</option>
        {platforms.slice(0, PLATFORMS_MAX).map((platform) => (
          <option value={platform} selected={platform === chosen}>
            {visible(platform, 80)}
          </option>
        ))}
      </select>
    </>
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

/** The path of the same list in another order, or of its next page. */
function pagePath(
  { name, query, platform, order: current }: RepositoryView,
  { order = current, next = null }: { readonly order?: Order; readonly next?: string | null },
): string {
  return repositoryPath(name, { q: query, platform, sort: order === 'newest' ? null : order, after: next });
}
