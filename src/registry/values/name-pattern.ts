/** Patterns over names: a repository's name, a prefix with `/*` for everything below it, or `*`; and over tags. */
import { parseRepositoryName, type RepositoryName } from '../name.ts';

/** Whether a value is a pattern over repositories. */
export function isRepositoryPattern(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  return value === '*' || parseRepositoryName(value.endsWith('/*') ? value.slice(0, -2) : value) !== null;
}

/** Whether a pattern matches a repository. */
export function matchesRepository(pattern: string, name: RepositoryName): boolean {
  return coversPattern(pattern, name);
}

/** Whether the first pattern matches all names that the second one matches. */
export function coversPattern(wide: string, narrow: string): boolean {
  return wide === '*' || wide === narrow || (wide.endsWith('/*') && narrow.startsWith(wide.slice(0, -1)));
}

/** Whether a pattern, in which `*` stands for any characters, matches a whole text. */
export function matchesWildcards(pattern: string, text: string): boolean {
  // Not as a regular expression: one with many `*` takes very long on some texts.
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return text === first;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const middle = text.slice(first.length, text.length - last.length);
  let at = 0;
  for (const part of others) {
    const found = middle.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return true;
}

/** Whether a text is a pattern over tags: characters of tags, and `*` for any number of any. */
export function isTagPattern(text: string): boolean {
  return /^[A-Za-z0-9_.*-]{1,128}$/.test(text);
}
