/** Patterns over tags, as the bucket's settings have them. Pure. */
import type { Tag } from '../../registry/name.ts';

/** Whether a text is a pattern over tags: characters of tags, and `*` for any number of any. */
export function isTagPattern(text: string): boolean {
  return /^[A-Za-z0-9_.*-]{1,128}$/.test(text);
}

/** Whether a pattern matches a whole tag. */
export function matchesTag(pattern: string, tag: Tag): boolean {
  // Not as a regular expression: one with many `*` takes very long on some tags.
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return tag === first;
  if (tag.length < first.length + last.length || !tag.startsWith(first) || !tag.endsWith(last)) return false;
  const middle = tag.slice(first.length, tag.length - last.length);
  let at = 0;
  for (const part of others) {
    const found = middle.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return true;
}
