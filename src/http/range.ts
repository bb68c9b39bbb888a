/** Byte ranges (RFC 9110, section 14). */

/**
 * A requested range, in bytes: from `offset` for `length` (without one to the end), or the last `suffix`. The end may
 * be beyond that of the content.
 */
export type RequestedRange = { readonly offset: number; readonly length?: number } | { readonly suffix: number };

/** A range of content whose size is known, in bytes. `length` is above 0. */
export interface ContentRange {
  readonly offset: number;
  readonly length: number;
}

/** Most ranges of one request. containers/storage sends at most 1,024 for a zstd:chunked layer. */
export const RANGES_MAX = 1_024;

const UNIT = /^bytes=/i;
const ONE_RANGE = /^(?:(\d+)-(\d*)|-(\d+))$/;

/**
 * Parses `Range`. null if it is to be ignored: no header, another unit, an invalid range (section 14.1.1), or more
 * ranges than {@link RANGES_MAX}.
 */
export function parseRanges(header: string | null): readonly RequestedRange[] | null {
  if (header === null || !UNIT.test(header)) return null;
  // Empty list elements are ignored (section 5.6.1.2).
  const parts = header
    .replace(UNIT, '')
    .split(',')
    .map((part) => part.replace(/^[\t ]+|[\t ]+$/g, ''))
    .filter((part) => part !== '');
  if (parts.length === 0 || parts.length > RANGES_MAX) return null;
  const ranges = parts.map(parseOne);
  return ranges.every((range) => range !== null) ? ranges : null;
}

function parseOne(text: string): RequestedRange | null {
  const [, first, last, suffix] = ONE_RANGE.exec(text) ?? [];
  if (suffix !== undefined) return { suffix: count(suffix) };
  if (first === undefined) return null;
  const offset = count(first);
  if (last === undefined || last === '') return { offset };
  const length = count(last) - offset + 1;
  if (length < 1) return null;
  // An end beyond the largest exact number is beyond the end of any content.
  return Number.isSafeInteger(length) ? { offset, length } : { offset };
}

function count(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

/** The ranges that content of `size` bytes satisfies, in the order of the request (section 14.1.2). */
export function satisfiableRanges(ranges: readonly RequestedRange[], size: number): readonly ContentRange[] {
  return ranges
    .map((range) => {
      const offset = 'suffix' in range ? Math.max(0, size - range.suffix) : range.offset;
      const length = 'suffix' in range ? range.suffix : (range.length ?? size);
      return { offset, length: Math.min(length, size - offset) };
    })
    .filter(({ length }) => length > 0);
}

/** Whether the ranges ascend and do not overlap. Only such requests are answered with several parts (section 14.2). */
export function areAscending(ranges: readonly ContentRange[]): boolean {
  return ranges.every(({ offset }, index) => {
    const before = ranges[index - 1];
    return before === undefined || offset >= before.offset + before.length;
  });
}

/**
 * The reads that contain the ranges, at most `most` of them: the smallest gaps are read along. `ranges` must ascend.
 */
export function planReads(ranges: readonly ContentRange[], most: number): readonly ContentRange[] {
  const gaps = ranges.slice(1).map(({ offset }, index) => {
    const { offset: begin, length } = ranges[index] ?? { offset: 0, length: 0 };
    return { index, size: offset - begin - length };
  });
  const splits = new Set(
    gaps
      .filter(({ size }) => size > 0)
      .sort((a, b) => b.size - a.size)
      .slice(0, most - 1)
      .map(({ index }) => index),
  );
  const reads: { offset: number; length: number }[] = [];
  ranges.forEach(({ offset, length }, index) => {
    const last = reads.at(-1);
    if (last === undefined || splits.has(index - 1)) reads.push({ offset, length });
    else last.length = offset + length - last.offset;
  });
  return reads;
}

/** Bytes between the ranges that the reads of {@link planReads} read along. */
export function bytesReadAlong(ranges: readonly ContentRange[], reads: readonly ContentRange[]): number {
  const sum = (all: readonly ContentRange[]): number => all.reduce((bytes, { length }) => bytes + length, 0);
  return sum(reads) - sum(ranges);
}

/** Formats a range as the value of `Range`. */
export function formatRange(range: RequestedRange): string {
  if ('suffix' in range) return `bytes=-${String(range.suffix)}`;
  const last = range.length === undefined ? '' : String(range.offset + range.length - 1);
  return `bytes=${String(range.offset)}-${last}`;
}
