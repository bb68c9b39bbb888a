import { describe, expect, it } from 'vitest';
import { decodeOriginMark, encodeOriginMark, ORIGIN_METADATA } from '../../../src/registry/origin-mark.ts';
import { ExpiringMap } from '../../../src/worker/storage/expiring-map.ts';
import { freshnessOf } from '../../../src/worker/ingest/freshness.ts';
import { digestOf } from '../seed.ts';

const digest = digestOf(`sha256:${'a'.repeat(64)}`);
const rule = { lifetime: 60_000, stale: 600_000, grace: 3_600_000 };
const T = 1_800_000_000_000;

describe('a stored tag', () => {
  it.each([
    ['published', null, undefined, T],
    ['fresh', { checked: T, gone: null }, undefined, T + 59_999],
    ['stale', { checked: T, gone: null }, undefined, T + 60_000],
    ['stale', { checked: T, gone: null }, undefined, T + 659_999],
    ['expired', { checked: T, gone: null }, undefined, T + 660_000],
    // What this isolate found out counts, even where it was not written down.
    ['fresh', { checked: T, gone: null }, T + 600_000, T + 640_000],
    ['fresh', { checked: T, gone: T - 1_000 }, undefined, T + 1],
    ['gone', { checked: T, gone: T - 3_600_000 }, undefined, T + 1],
    // Whether it has come back is asked before it is denied once more.
    ['expired', { checked: T, gone: T - 3_600_000 }, undefined, T + 60_000],
  ] as const)('is %s: %j, %s', (expected, times, checked, now) => {
    expect(freshnessOf(times === null ? null : { origin: 'a', digest, ...times }, checked, rule, now)).toBe(expected);
  });
});

describe('the mark of a fetched tag', () => {
  it.each([{ gone: null }, { gone: T }])('reads back as it was written: %j', ({ gone }) => {
    const mark = { origin: 'a', digest, checked: T, gone };
    expect(decodeOriginMark(encodeOriginMark(mark))).toEqual(mark);
  });

  it.each(['', '{', 'null', '{}', '{"o":"a","d":"sha256:1","c":1}'])(
    'is none where it cannot be read, so that the tag counts as published: %s',
    (text) => {
      expect(decodeOriginMark({ [ORIGIN_METADATA]: text })).toBeNull();
    },
  );

  it('is none where there is none', () => {
    expect(decodeOriginMark({})).toBeNull();
  });
});

describe('what an isolate remembers', () => {
  it('ends at its time', () => {
    const map = new ExpiringMap<number>(10);
    map.set('a', 1, T + 5);
    expect([map.get('a', T + 4), map.get('a', T + 5), map.get('a', T)]).toEqual([1, undefined, undefined]);
  });

  it('never grows beyond its bound: the oldest goes', () => {
    const map = new ExpiringMap<number>(2);
    for (const key of ['a', 'b', 'a', 'c']) map.set(key, 1, T);
    expect(['a', 'b', 'c'].map((key) => map.get(key, 0))).toEqual([1, undefined, 1]);
  });
});
