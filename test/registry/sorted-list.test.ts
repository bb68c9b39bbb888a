import fc from 'fast-check';
import { CorruptRecordError, NewerVersionError } from '../../src/registry/unreadable-record.ts';
import { describe, expect, it } from 'vitest';
import { compareNames } from '../../src/registry/name.ts';
import {
  decodeListHeader,
  decodeSortedList,
  decodeSpan,
  encodeSortedList,
  FIRST_READ,
  HEADER_METADATA,
  LEAF_SIZE,
  leavesOfPage,
  type ListEntry,
  spanOf,
} from '../../src/registry/sorted-list.ts';
import { tag } from './arbitraries.ts';

type Encoded = ReturnType<typeof encodeSortedList>;

const entriesOf = (names: readonly string[]): ListEntry<{ of: string }>[] =>
  names.map((name) => ({ name, detail: { of: `é ${name}` } }));

const headerOf = ({ body, metadata }: Encoded) => decodeListHeader(body.subarray(0, FIRST_READ), metadata);

/** A page, read as a reader reads it: the first bytes, and the leaves that hold it. */
const page = (
  list: Encoded,
  after: string | null,
  limit: number,
): { names: string[]; details: unknown[]; leaves: number } => {
  const header = headerOf(list);
  const leaves = leavesOfPage(header, after, limit);
  if (leaves === null) return { names: [], details: [], leaves: 0 };
  const bytes = (part: 'names' | 'details'): unknown[] => {
    const { offset, length } = spanOf(header, leaves, part);
    return decodeSpan(list.body.subarray(offset, offset + length));
  };
  const names = bytes('names') as string[];
  const details = bytes('details');
  const first = after === null ? 0 : names.findIndex((name) => compareNames(name, after) > 0);
  return first === -1
    ? { names: [], details: [], leaves: leaves.length }
    : { names: names.slice(first, first + limit), details: details.slice(first, first + limit), leaves: leaves.length };
};

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `v${String(index).padStart(6, '0')}`);

describe('a sorted list', () => {
  it('reads back whole, sorted, each detail with its name', () => {
    fc.assert(
      fc.property(fc.uniqueArray(tag, { maxLength: 600, size: 'max' }), (names) => {
        const list = encodeSortedList(entriesOf(names));
        expect(decodeSortedList(list.body)).toEqual(entriesOf([...names].sort(compareNames)));
        expect(headerOf(list).count).toBe(names.length);
        expect(JSON.parse(new TextDecoder().decode(list.body))).toMatchObject({ count: names.length });
      }),
      { seed: 1, numRuns: 30 },
    );
  });

  it('gives every page that its names, sliced, would give; and tells whether more follow', () => {
    const sizes = fc.oneof(
      fc.nat({ max: 20 }),
      fc.constantFrom(LEAF_SIZE - 1, LEAF_SIZE, LEAF_SIZE + 1, 2 * LEAF_SIZE, 2 * LEAF_SIZE + 1, 1_000),
    );
    fc.assert(
      fc.property(
        sizes,
        fc.nat({ max: 1_100 }),
        fc.oneof(fc.constantFrom(1, 2, LEAF_SIZE, LEAF_SIZE - 1, 1_000), fc.integer({ min: 1, max: 1_100 })),
        fc.boolean(),
        (count, start, limit, between) => {
          const names = numbered(count);
          const list = encodeSortedList(entriesOf(names));
          const known = names[start];
          const after = start === 0 ? null : (known ?? 'v9') + (between ? '.5' : '');
          const rest = names.filter((name) => after === null || compareNames(name, after) > 0);
          const { names: got, details } = page(list, after, limit);
          expect(got).toEqual(rest.slice(0, limit));
          expect(details).toEqual(entriesOf(got).map(({ detail }) => detail));
          // One more than the page is always within what is read.
          expect(page(list, after, limit + 1).names.length > limit).toBe(rest.length > limit);
        },
      ),
      { seed: 1, numRuns: 100 },
    );
  });

  it('walked page by page gives each name once', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(tag, { maxLength: 700, size: 'max' }),
        fc.integer({ min: 1, max: 300 }),
        (names, limit) => {
          const list = encodeSortedList(entriesOf(names));
          const seen: string[] = [];
          for (let after: string | null = null; ; after = seen.at(-1) ?? null) {
            const { names: got } = page(list, after, limit);
            if (got.length === 0) break;
            seen.push(...got);
          }
          expect(seen).toEqual([...names].sort(compareNames));
        },
      ),
      { seed: 1, numRuns: 20 },
    );
  });

  it('of 100,000 names still has its first line within the first read, and a page reads few leaves', () => {
    const list = encodeSortedList(entriesOf(numbered(100_000)));
    const { names, leaves } = page(list, 'v050000', 100);
    expect(names[0]).toBe('v050001');
    expect(names).toHaveLength(100);
    expect(leaves).toBeLessThanOrEqual(2);
  });

  it('of many long names uses larger leaves rather than a longer first line', () => {
    const names = Array.from({ length: 100_000 }, (_, index) => `${'x'.repeat(120)}${String(index).padStart(8, '0')}`);
    const list = encodeSortedList(entriesOf(names));
    const header = headerOf(list);
    expect(header.base).toBeLessThanOrEqual(FIRST_READ);
    expect(page(list, names[45_678] ?? null, 3).names).toEqual(names.slice(45_679, 45_682));
  });

  it('beyond its end has no page', () => {
    const list = encodeSortedList(entriesOf(['a', 'b']));
    expect(page(list, 'b', 10).names).toEqual([]);
    expect(page(encodeSortedList([]), null, 10)).toEqual({ names: [], details: [], leaves: 0 });
  });

  const good = encodeSortedList(entriesOf(['a', 'b']));
  const text = new TextDecoder().decode(good.body);
  const encode = (value: string): Uint8Array => new TextEncoder().encode(value);

  it.each([
    ['is cut short', text.slice(0, -5)],
    ['is of no version', text.replace('"version":1,', '')],
    ['lacks a detail', text.replace(/,\{[^}]*\}\]/, ']')],
    ['has a name that is none', text.replace('"names":["a"', '"names":[1')],
    ['is no object', 'null'],
  ])('that %s is reported as damaged', (_, damaged) => {
    expect(() => decodeSortedList(encode(damaged))).toThrow(CorruptRecordError);
  });

  it('that is of a newer version is no damage', () => {
    const newer = encode(text.replace('"version":1', '"version":2'));
    expect(() => decodeSortedList(newer)).toThrow(NewerVersionError);
    expect(() => decodeListHeader(newer, good.metadata)).toThrow(NewerVersionError);
  });

  it.each([
    ['no length', {}],
    ['a length beyond what was read', { [HEADER_METADATA]: '999999' }],
    ['a length that is no number', { [HEADER_METADATA]: 'x' }],
    ['a wrong length', { [HEADER_METADATA]: '10' }],
  ])('whose metadata has %s is reported as damaged', (_, metadata: Record<string, string>) => {
    expect(() => decodeListHeader(good.body, metadata)).toThrow(CorruptRecordError);
  });
});
