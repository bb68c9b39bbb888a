/** A media range of an `Accept` (RFC 9110, section 12.5.1), without parameters: manifest types have none. */
export interface MediaRange {
  /** `type/subtype` in lower case; the subtype, or both, may be `*`. */
  readonly type: string;
  /** Weight, 0 (not acceptable) to 1. */
  readonly q: number;
}

/** A parsed `Accept`; null if the client sent none. */
export type Accept = readonly MediaRange[] | null;

const TOKEN = "[!#$%&'*+.^_`|~0-9a-z-]+";
const RANGE = new RegExp(`^(${TOKEN}/${TOKEN})$`);
const WEIGHT = /^(?:0(?:\.\d*)?|1(?:\.0*)?|\.\d+)$/;

/**
 * Parses an `Accept`; several header lines are joined by commas. Invalid ranges are left out. An invalid weight counts
 * as 1, because the client named the type. An empty header counts as none.
 */
export function parseAccept(header: string | null): Accept {
  if (header === null || header.trim() === '') return null;
  const ranges: MediaRange[] = [];
  for (const element of splitQuoted(header, ',')) {
    const [first = '', ...parameters] = splitQuoted(element, ';');
    const type = RANGE.exec(first.trim().toLowerCase())?.[1];
    if (type === undefined || (type.startsWith('*/') && type !== '*/*')) continue;
    ranges.push({ type, q: weightOf(parameters) });
  }
  return ranges;
}

/**
 * The weight of a media type (in lower case): that of the most specific matching range, the highest if several are
 * equally specific, and 0 without a match.
 */
export function qualityOf(accept: readonly MediaRange[], mediaType: string): number {
  const group = `${mediaType.slice(0, mediaType.indexOf('/'))}/*`;
  for (const wanted of [mediaType, group, '*/*']) {
    const fitting = accept.filter(({ type }) => type === wanted);
    if (fitting.length > 0) return Math.max(...fitting.map(({ q }) => q));
  }
  return 0;
}

function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=', 2);
    if (name.trim().toLowerCase() !== 'q') continue;
    const text = value.trim();
    return WEIGHT.test(text) ? Number(text) : 1;
  }
  return 1;
}

/** Splits at separators outside of quoted strings (RFC 9110, section 5.6.4). */
function splitQuoted(text: string, separator: string): string[] {
  if (!text.includes('"')) return text.split(separator);
  const parts: string[] = [];
  let part = '';
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quoted && char === '\\') {
      part += char + text.charAt(++at);
      continue;
    }
    if (char === '"') quoted = !quoted;
    if (char === separator && !quoted) {
      parts.push(part);
      part = '';
    } else part += char;
  }
  return [...parts, part];
}
