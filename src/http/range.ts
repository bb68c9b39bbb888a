/** Byte ranges (RFC 9110, section 14). */

/**
 * A requested range: `length` bytes from `offset` (without it, to the end), or the last `suffix` bytes. It may end
 * after the content.
 */
export type RequestedRange = { readonly offset: number; readonly length?: number } | { readonly suffix: number };

const ONE_RANGE = /^bytes=[\t ,]*(?:(\d+)-(\d*)|-(\d+))[\t ,]*$/i;

/**
 * Parses `Range`. Null if it is ignored: no header, another unit, a syntax error, a last byte before the first (section
 * 14.1.1), or several ranges, for which a server may send the whole content (section 14.2).
 */
export function parseRange(header: string | null): RequestedRange | null {
  const [, first, last, suffix] = ONE_RANGE.exec(header ?? '') ?? [];
  if (suffix !== undefined) return { suffix: count(suffix) };
  if (first === undefined) return null;
  const offset = count(first);
  if (last === undefined || last === '') return { offset };
  const length = count(last) - offset + 1;
  if (length < 1) return null;
  // A larger number is beyond the end of any content.
  return Number.isSafeInteger(length) ? { offset, length } : { offset };
}

/** Formats a `Range`. */
export function formatRange(range: RequestedRange): string {
  if ('suffix' in range) return `bytes=-${String(range.suffix)}`;
  const last = range.length === undefined ? '' : String(range.offset + range.length - 1);
  return `bytes=${String(range.offset)}-${last}`;
}

function count(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}
