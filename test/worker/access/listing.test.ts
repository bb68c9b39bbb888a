import { describe, expect, it } from 'vitest';
import { parseRepositoryName, type RepositoryName } from '../../../src/registry/name.ts';
import { parseRealmTable } from '../../../src/registry/realms.ts';
import { encodeSortedList } from '../../../src/registry/sorted-list.ts';
import {
  type ByteRange,
  type GetOptions,
  type ReadStore,
  StorageError,
  type StoredObject,
} from '../../../src/registry/store.ts';
import { visibleNames } from '../../../src/worker/access/visible-names.ts';
import { cranePage, craneRepositories, wantsJson } from '../../../src/worker/endpoints/crane-repositories.ts';
import { matchesSearch, SEARCH_PAGE, searchAnswer } from '../../../src/worker/endpoints/name-search.ts';

const name = (text: string): RepositoryName => parseRepositoryName(text) ?? expect.fail(text);

/** A store with one catalogue; counts reads, and calls `onRead` before each. */
function storeOf(
  names: readonly string[],
  onRead?: (read: number) => readonly string[] | undefined,
): ReadStore & { reads: number } {
  let { body, metadata } = encodeSortedList(names.map((one) => ({ name: one, detail: null })));
  let version = 1;
  const cut = (range: ByteRange | undefined): Uint8Array =>
    range !== undefined && 'offset' in range
      ? body.subarray(range.offset, range.length === undefined ? undefined : range.offset + range.length)
      : body;
  const store = {
    reads: 0,
    head: () => Promise.reject(new Error('not asked')),
    get: (key: string, options?: GetOptions): Promise<StoredObject | null | 'changed'> => {
      store.reads++;
      const next = onRead?.(store.reads);
      if (next !== undefined) {
        ({ body, metadata } = encodeSortedList(next.map((one) => ({ name: one, detail: null }))));
        version++;
      }
      const etag = String(version);
      if (options?.ifMatch !== undefined && options.ifMatch !== etag) return Promise.resolve('changed');
      const bytes = cut(options?.range);
      return Promise.resolve({
        key,
        size: body.length,
        etag,
        metadata,
        uploaded: new Date(0),
        range: { offset: 0, length: bytes.length },
        body: new Response(bytes).body ?? expect.fail(),
      });
    },
  };
  return store;
}
const many = Array.from(
  { length: 40_000 },
  (_, index) => `${index % 100 === 0 ? 'open' : 'team-a'}/r${String(index).padStart(6, '0')}`,
);
const isOpen = (one: RepositoryName): boolean => one.startsWith('open/');
const all = (): boolean => true;

describe('the names a caller sees', () => {
  it.each([
    ['all of a short list', ['a', 'b', 'c'], null, 10, ['a', 'b', 'c'], false],
    ['a page of it', ['a', 'b', 'c'], 'a', 1, ['b'], true],
    ['the last page, full', ['a', 'b', 'c'], 'a', 2, ['b', 'c'], false],
    ['after a name that is not there', ['a', 'c'], 'b', 5, ['c'], false],
    ['after the end', ['a'], 'b', 5, [], false],
    ['none at all', [], null, 5, [], false],
    ['n=0', ['a'], null, 0, [], true],
  ])('are %s', async (_, names, after, limit, expected, more) => {
    expect(await visibleNames(storeOf(names), { after, limit, keep: all })).toEqual({ names: expected, more });
  });

  it('are none where there is no catalogue', async () => {
    const store: ReadStore = { head: () => Promise.resolve(null), get: () => Promise.resolve(null) };
    expect(await visibleNames(store, { after: null, limit: 5, keep: all })).toEqual({ names: [], more: false });
  });

  it('come in full pages from a long list, whatever lies between them, and "more" means more that the caller may see', async () => {
    const seen: string[] = [];
    const hidden = (one: RepositoryName): boolean => one.startsWith('team-a/') && Number(one.slice(8)) % 7 === 0;
    let after: string | null = null;
    for (;;) {
      const page = await visibleNames(storeOf(many), { after, limit: 997, keep: hidden });
      seen.push(...page.names);
      if (!page.more) break;
      expect(page.names).toHaveLength(997);
      after = page.names.at(-1) ?? null;
    }
    expect(seen).toEqual(many.map(name).filter(hidden).sort());
  });

  it('end without a word of those behind them', async () => {
    expect(await visibleNames(storeOf(many), { after: null, limit: 400, keep: isOpen })).toMatchObject({ more: false });
  });

  it('cost two reads a page where all is visible', async () => {
    const store = storeOf(many);
    await visibleNames(store, { after: 'team-a/r020000', limit: 100, keep: all });
    expect(store.reads).toBe(2);
  });

  it('are read anew if the list changes meanwhile, and given up if it never rests', async () => {
    const changed = await visibleNames(
      storeOf(many, (read) => (read === 2 ? ['x', 'y'] : undefined)),
      { after: 'team-a/r020000', limit: 5, keep: all },
    );
    expect(changed.names).toEqual(['x', 'y']);
    const restless = storeOf(many, (read) => many.slice(read));
    await expect(visibleNames(restless, { after: null, limit: 50_000, keep: all })).rejects.toThrow(StorageError);
  });
});

describe('search', () => {
  it('means names that contain the word', () => {
    expect(['library/busybox', 'x/busy', 'x/box'].map(name).filter((one) => matchesSearch('BUSY', one))).toEqual([
      'library/busybox',
      'x/busy',
    ]);
  });

  it('answers as docker search reads it', () => {
    expect(searchAnswer(new URLSearchParams('q=busy&n=25'), [name('library/busybox')])).toEqual({
      query: 'busy',
      num_results: 1,
      num_pages: 1,
      page: 1,
      page_size: 25,
      results: [
        {
          name: 'library/busybox',
          description: '',
          star_count: 0,
          is_official: false,
          is_automated: false,
          is_trusted: false,
        },
      ],
    });
  });

  it('gives pages, of a bounded size', () => {
    const names = Array.from({ length: 230 }, (_, index) => name(`r${String(index)}`));
    const sizes = (query: string): readonly number[] => {
      const answer = searchAnswer(new URLSearchParams(query), names);
      return [answer.results.length, answer.num_pages];
    };
    expect(sizes('')).toEqual([SEARCH_PAGE.usual, 10]);
    expect(sizes('n=1000')).toEqual([SEARCH_PAGE.most, 3]);
    expect(sizes('n=100&page=3')).toEqual([30, 3]);
    expect(sizes('n=100&page=4')).toEqual([0, 3]);
    expect(sizes('n=-1&page=x')).toEqual([SEARCH_PAGE.usual, 10]);
  });
});

describe('crane’s list', () => {
  const repositories = craneRepositories(parseRealmTable([{ pattern: 'team-a/*', realm: 'team-a' }]), [
    name('library/x'),
    name('team-a/x'),
  ]);

  it('says what is protected', async () => {
    expect(repositories).toEqual({ 'library/x': { protected: false }, 'team-a/x': { protected: true } });
    const page = (await cranePage(repositories)).replace(/\s+/g, '');
    expect(page).toContain('<td>team-a/x</td><td>True</td>');
    expect(page).toContain('<td>library/x</td><td>False</td>');
  });

  it.each([
    [null, false],
    ['*/*', false],
    ['application/json', true],
    ['application/json, text/plain, */*', true],
    ['text/html,application/json', false],
  ])('is JSON for %s: %s', (accept, expected) => {
    expect(wantsJson(accept)).toBe(expected);
  });
});
