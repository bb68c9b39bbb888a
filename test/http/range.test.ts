import { describe, expect, it } from 'vitest';
import { areAscending, parseRanges, planReads, RANGES_MAX, satisfiableRanges } from '../../src/http/range.ts';

describe('Range (RFC 9110, section 14)', () => {
  it.each([
    ['bytes=0-0', { offset: 0, length: 1 }],
    ['bytes=0-499', { offset: 0, length: 500 }],
    ['bytes=9500-', { offset: 9500 }],
    ['bytes=-500', { suffix: 500 }],
    ['bytes=-0', { suffix: 0 }],
    ['BYTES=1-2', { offset: 1, length: 2 }],
    ['bytes= 1-2', { offset: 1, length: 2 }],
    ['bytes=,1-2 ,', { offset: 1, length: 2 }],
    ['bytes=0-99999999999999999999', { offset: 0 }],
    ['bytes=99999999999999999999-', { offset: Number.MAX_SAFE_INTEGER }],
    ['bytes=-99999999999999999999', { suffix: Number.MAX_SAFE_INTEGER }],
  ])('%s asks for %o', (header, expected) => {
    expect(parseRanges(header)).toEqual([expected]);
  });

  it.each([
    null,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=5-4',
    'bytes=1-2,x',
    'items=0-1',
    'bytes=1 - 2',
    'bytes=1-2x',
    'bytes:1-2',
    '0-1',
  ])('%s is ignored', (header) => {
    expect(parseRanges(header)).toBeNull();
  });

  it('several ranges are read in order, up to a limit', () => {
    expect(parseRanges('bytes=1-2, 4-5,-1')).toEqual([
      { offset: 1, length: 2 },
      { offset: 4, length: 2 },
      { suffix: 1 },
    ]);
    const many = (count: number): string => `bytes=${Array.from({ length: count }, () => '0-0').join(',')}`;
    expect(parseRanges(many(RANGES_MAX))).toHaveLength(RANGES_MAX);
    expect(parseRanges(many(RANGES_MAX + 1))).toBeNull();
  });
});

describe('ranges of content of a known size', () => {
  it('are cut at its end, and left out beyond it', () => {
    const ranges = [{ offset: 0 }, { offset: 8, length: 5 }, { suffix: 3 }, { offset: 10 }, { suffix: 0 }];
    expect(satisfiableRanges(ranges, 10)).toEqual([
      { offset: 0, length: 10 },
      { offset: 8, length: 2 },
      { offset: 7, length: 3 },
    ]);
    expect(satisfiableRanges([{ offset: 0 }, { suffix: 5 }], 0)).toEqual([]);
  });

  it.each([
    ['none', [], true],
    ['neighbours', [0, 2], true],
    ['an overlap', [0, 1], false],
    ['a step back', [4, 0], false],
  ])('ascend without overlaps: %s', (_, offsets, expected) => {
    expect(areAscending(offsets.map((offset) => ({ offset, length: 2 })))).toBe(expected);
  });

  it('are read with a few reads, which read the smallest gaps along', () => {
    const ranges = [0, 10, 100, 1_000].map((offset) => ({ offset, length: 5 }));
    expect(planReads(ranges, 8)).toEqual(ranges);
    expect(planReads(ranges, 2)).toEqual([
      { offset: 0, length: 105 },
      { offset: 1_000, length: 5 },
    ]);
    expect(planReads(ranges, 1)).toEqual([{ offset: 0, length: 1_005 }]);
    expect(planReads([], 8)).toEqual([]);
  });
});
