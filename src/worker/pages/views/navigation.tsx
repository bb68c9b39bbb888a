/* @jsxRuntime automatic @jsxImportSource hono/jsx */
/** Ways through the pages: the trail to a page, a search, and the pages of a long list. */
import type { Child } from 'hono/jsx';
import type { RepositoryName } from '../../../registry/name.ts';
import { repositoryPath } from '../paths.ts';

/** Where a page is: the front page, the repository, and what follows it. */
export function Crumbs({ name, children }: { readonly name: RepositoryName; readonly children?: Child }) {
  return (
    <nav class="crumbs" aria-label="Where you are">
      <a href="/">Repositories</a> /{' '}
      {children === undefined ? (
        name
      ) : (
        <>
          <a href={repositoryPath(name)}>{name}</a> / {children}
        </>
      )}
    </nav>
  );
}

/** A repository's name with its last part in bold, so that lists of one group are easy to read. */
export function NameParts({ name }: { readonly name: RepositoryName }) {
  const at = name.lastIndexOf('/') + 1;
  return (
    <>
      <span class="quiet">{name.slice(0, at)}</span>
      <b>{name.slice(at)}</b>
    </>
  );
}

/** A search field. `children`: further fields of the form. */
export function Search({
  path,
  query,
  label,
  placeholder,
  maxLength,
  children,
}: {
  readonly path: string;
  readonly query: string;
  readonly label: string;
  readonly placeholder: string;
  readonly maxLength: number;
  readonly children?: Child;
}) {
  return (
    <form class="search" role="search" action={path} method="get">
      <label class="hidden" for="q">
        {label}
      </label>
      <input
        id="q"
        name="q"
        type="search"
        value={query}
        placeholder={placeholder}
        maxlength={maxLength}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
      />
      {children}
      <button type="submit">Search</button>
    </form>
  );
}

/** The links to the first and the next page; nothing if there is one page. */
export function Pager({
  first,
  next,
  label = 'Next page',
}: {
  /** Null on the first page. */
  readonly first: string | null;
  /** Null on the last page. */
  readonly next: string | null;
  readonly label?: string;
}) {
  if (first === null && next === null) return null;
  return (
    <nav class="pages" aria-label="Pages">
      {first !== null && <a href={first}>First page</a>}
      {next !== null && (
        <a href={next} rel="next">
          {label}
        </a>
      )}
    </nav>
  );
}

/** Links of which one is the current: platforms, orders of a list, parts of a page. */
export function Choices({
  label,
  choices,
  look = 'pills',
}: {
  readonly label: string;
  readonly choices: readonly { readonly text: string; readonly href: string; readonly isCurrent: boolean }[];
  readonly look?: 'pills' | 'tabs';
}) {
  return (
    <nav class={look} aria-label={label}>
      <ul>
        {choices.map(({ text, href, isCurrent }) => (
          <li>
            <a href={href} aria-current={isCurrent ? 'true' : undefined}>
              {text}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
