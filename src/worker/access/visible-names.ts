import { CATALOG_KEY } from '../../registry/keys.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import {
  decodeListHeader,
  decodeSpan,
  FIRST_READ,
  type Leaf,
  leavesOfPage,
  spanOf,
} from '../../registry/sorted-list.ts';
import { readAll } from '../../bucket/read-object.ts';
import { type ReadStore, StorageError } from '../../registry/store.ts';
import { CorruptRecordError } from '../../registry/unreadable-record.ts';

/**
 * Maximum number of names per read. Reads start with the page's length and grow up to this, so that a caller who sees
 * little of a long list still gets a page in few reads.
 */
const NAMES_A_READ = 16_384;

/** Maximum number of restarts if a publisher writes the list during the read. */
const ATTEMPTS = 3;

/** A part of the catalogue, as one caller sees it. */
export interface VisiblePage {
  readonly names: readonly RepositoryName[];
  /** Whether there are more visible names after the last one. */
  readonly more: boolean;
}

/**
 * At most `limit` names after `after` that `keep` accepts. A missing catalogue counts as empty. Reads continue until
 * the page is full: two reads if all names are visible, more if few are. Throws {@link StorageError}, {@link
 * CorruptRecordError}.
 */
export async function visibleNames(
  store: ReadStore,
  {
    after,
    limit,
    keep,
  }: { readonly after: string | null; readonly limit: number; readonly keep: (name: RepositoryName) => boolean },
): Promise<VisiblePage> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const page = await readOnce(store, after, limit, keep);
    if (page !== 'changed') return page;
  }
  throw new StorageError('STORAGE_UNAVAILABLE', 'the catalogue changed during every read');
}

async function readOnce(
  store: ReadStore,
  after: string | null,
  limit: number,
  keep: (name: RepositoryName) => boolean,
): Promise<VisiblePage | 'changed'> {
  const first = await store.get(CATALOG_KEY, { range: { offset: 0, length: FIRST_READ } });
  if (first === null || first === 'changed') return { names: [], more: false };
  const head = await readAll(first.body, first.range.length);
  const header = decodeListHeader(head, first.metadata);
  const names: RepositoryName[] = [];
  let position = after;
  for (let wanted = Math.min(limit, NAMES_A_READ); ; wanted = Math.min(NAMES_A_READ, 4 * wanted + 1)) {
    const leaves = leavesOfPage(header, position, wanted);
    if (leaves === null) return { names, more: false };
    const batch = await readLeaves(leaves);
    if (batch === 'changed') return 'changed';
    const fresh = batch.filter((name) => position === null || name > position);
    for (const name of fresh) {
      if (!keep(name)) continue;
      if (names.length === limit) return { names, more: true };
      names.push(name);
    }
    const last = fresh.at(-1);
    if (last === undefined || leaves.at(-1) === header.leaves.at(-1)) return { names, more: false };
    position = last;
  }

  async function readLeaves(leaves: readonly Leaf[]): Promise<readonly RepositoryName[] | 'changed'> {
    const { offset, length } = spanOf(header, leaves, 'names');
    if (offset + length <= head.length) return decodeSpan(head.subarray(offset, offset + length)).map(nameOf);
    if (first === null || first === 'changed') return 'changed';
    const more = await store.get(CATALOG_KEY, { range: { offset, length }, ifMatch: first.etag });
    return more === null || more === 'changed' ? 'changed' : decodeSpan(await readAll(more.body, length)).map(nameOf);
  }
}

function nameOf(value: unknown): RepositoryName {
  const name = typeof value === 'string' ? parseRepositoryName(value) : null;
  if (name === null) throw new CorruptRecordError('the catalogue contains an invalid repository name');
  return name;
}
