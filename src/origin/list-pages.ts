/** The pages of a list of another registry (OCI distribution spec 1.1, "Listing Tags" and "Listing Referrers"). */
import { parseLinks } from '../http/link.ts';
import { type NotFound, OriginError } from './errors.ts';
import { nextPage } from './policy.ts';
import { addressOf, type OriginResponse } from './transport.ts';

/** Reads the document of one page. */
export type ReadPage = <T extends object>(
  url: URL,
  read: (response: OriginResponse, bytes: Uint8Array) => T,
) => Promise<T | NotFound>;

/** A list and its `Warning` header, if a page had one. */
export interface Pages<T> {
  readonly items: readonly T[];
  readonly warning: string | undefined;
}

/**
 * Follows the pages of a list to its end.
 *
 * @throws {OriginError} a next page on another host, pages that link in a circle, or more than `maxPages`
 */
export async function readPages<T>(
  first: URL,
  readItems: (bytes: Uint8Array, url: URL) => readonly T[],
  { readPage, maxPages }: { readonly readPage: ReadPage; readonly maxPages: number },
): Promise<Pages<T> | NotFound> {
  const items: T[] = [];
  let warning: string | undefined;
  const seen = new Set<string>();
  for (let here = first; ;) {
    seen.add(here.href);
    const page: { readonly next: string | undefined } | NotFound = await readPage(here, (response, bytes) => {
      warning = response.headers.get('warning') ?? warning;
      for (const item of readItems(bytes, response.url)) items.push(item);
      return { next: parseLinks(response.headers.get('link') ?? '').find(({ rel }) => rel === 'next')?.target };
    });
    if ('kind' in page) return page;
    if (page.next === undefined) return { items, warning };
    const next = nextPage(here, page.next);
    if (next === null) throw new OriginError('ORIGIN_POLICY', `${addressOf(here)} continues its list on another host`);
    // Pulp 3 links from a full last page to an empty one, which ends. A link back to an earlier page does not end.
    if (seen.has(next.href))
      throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(here)} links its list pages in a circle`);
    if (seen.size >= maxPages)
      throw new OriginError('ORIGIN_PROTOCOL', `${addressOf(here)} lists more than ${String(maxPages)} pages`);
    here = next;
  }
}
