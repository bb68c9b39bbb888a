/** One media range of an `Accept` (RFC 9110, section 12.5.1), its parameters dropped: no manifest type has any. */
export interface MediaRange {
  /** `type/subtype` in lower case; the subtype, or both, may be `*`. */
  readonly type: string;
  /** Weight, 0 (not acceptable) to 1. */
  readonly q: number;
}

/** What a client accepts; null where it sent no `Accept` at all, which says something of its own. */
export type Accept = readonly MediaRange[] | null;

const TOKEN = "[!#$%&'*+.^_`|~0-9a-z-]+";
const RANGE = new RegExp(`^(${TOKEN}/${TOKEN})$`);
const WEIGHT = /^(?:0(?:\.\d*)?|1(?:\.0*)?|\.\d+)$/;

/**
 * Reads an `Accept`; several header lines come joined by commas. What cannot be read is left out, a weight that cannot be read counts as 1: a client that names a
 * type means it. A header with nothing in it says as little as none.
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

/** How much a media type is wanted: the weight of the most specific range that it falls under, the highest of equally specific ones; 0 if it falls under none. `mediaType` in lower case. */
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

/** Splits at a separator that stands outside quoted strings (RFC 9110, section 5.6.4). */
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
