import { describe, expect, it } from 'vitest';
import { formatRange, parseRange } from '../../src/http/range.ts';

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
    expect(parseRange(header)).toEqual(expected);
  });

  it.each([
    null,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=5-4',
    'bytes=1-2,4-5',
    'bytes=0-0,-1',
    'items=0-1',
    'bytes=1 - 2',
    'bytes=1-2x',
    'bytes:1-2',
    '0-1',
  ])('%s is ignored', (header) => {
    expect(parseRange(header)).toBeNull();
  });

  it.each(['bytes=0-0', 'bytes=7-', 'bytes=-3', 'bytes=10-19'])('%s is written as it was read', (header) => {
    const range = parseRange(header);
    expect(range === null ? null : formatRange(range)).toBe(header);
  });
});
