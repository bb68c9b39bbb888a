import type { RepositoryName } from '../../registry/name.ts';

/** Results of a page without `n`, and the maximum: those of Docker Hub. */
export const SEARCH_PAGE = { usual: 25, most: 100 } as const;

/** The response that `docker search` reads (Docker's v1 index API, "Search"). */
export interface SearchAnswer {
  readonly query: string;
  readonly num_results: number;
  readonly num_pages: number;
  readonly page: number;
  readonly page_size: number;
  readonly results: readonly {
    readonly name: string;
    readonly description: string;
    readonly star_count: number;
    readonly is_official: boolean;
    readonly is_automated: boolean;
    readonly is_trusted: boolean;
  }[];
}

/** Whether a repository matches a search: its name contains the query, ignoring case. An empty query matches all. */
export function matchesSearch(query: string, name: RepositoryName): boolean {
  return name.includes(query.toLowerCase());
}

/**
 * The answer to `GET /v1/search?q=&n=&page=`. `names`: all matches that the caller may see. A value that is not a
 * number is ignored.
 */
export function searchAnswer(parameters: URLSearchParams, names: readonly RepositoryName[]): SearchAnswer {
  const size = Math.min(SEARCH_PAGE.most, positive(parameters.get('n')) ?? SEARCH_PAGE.usual);
  const page = positive(parameters.get('page')) ?? 1;
  const results = names.slice((page - 1) * size, page * size).map((name) => ({
    name,
    description: '',
    star_count: 0,
    is_official: false,
    is_automated: false,
    is_trusted: false,
  }));
  return {
    query: parameters.get('q') ?? '',
    num_results: names.length,
    num_pages: Math.ceil(names.length / size),
    page,
    page_size: size,
    results,
  };
}

function positive(text: string | null): number | null {
  return text !== null && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null;
}
