/** Byte ranges (RFC 9110, section 14). */

/** What a range asks for, in bytes: from `offset` for `length` (to the end without), or the last `suffix`. The end may lie beyond that of the content. */
export type RequestedRange = { readonly offset: number; readonly length?: number } | { readonly suffix: number };

const ONE_RANGE = /^bytes=[\t ,]*(?:(\d+)-(\d*)|-(\d+))[\t ,]*$/i;

/**
 * Reads `Range`. null where it is to be ignored: none, another unit, what cannot be read, a last byte before the first (section 14.1.1), or several ranges, which a
 * server may answer whole (section 14.2).
 */
export function parseRange(header: string | null): RequestedRange | null {
  const [, first, last, suffix] = ONE_RANGE.exec(header ?? '') ?? [];
  if (suffix !== undefined) return { suffix: count(suffix) };
  if (first === undefined) return null;
  const offset = count(first);
  if (last === undefined || last === '') return { offset };
  const length = count(last) - offset + 1;
  if (length < 1) return null;
  // Beyond what a number can tell lies the end of any content.
  return Number.isSafeInteger(length) ? { offset, length } : { offset };
}

/** Writes a range as `Range` has it. */
export function formatRange(range: RequestedRange): string {
  if ('suffix' in range) return `bytes=-${String(range.suffix)}`;
  const last = range.length === undefined ? '' : String(range.offset + range.length - 1);
  return `bytes=${String(range.offset)}-${last}`;
}

function count(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}
