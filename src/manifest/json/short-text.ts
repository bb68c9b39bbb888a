/** The longest cached text in bytes, and the number of cached texts: names of members, times, beginnings of digests. */
const LONGEST = 40;
const SLOTS = 512;

const known: string[] = Array.from({ length: SLOTS }, () => '');

/**
 * The text of a few ASCII bytes without backslash; null for anything else. Documents repeat the same few texts, so they
 * are cached, which saves calls of the decoder and garbage.
 */
export function shortText(bytes: Uint8Array, start: number, end: number): string | null {
  if (end - start > LONGEST) return null;
  let hash = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x80 || byte === 0x5c) return null;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1);
  const before = known[slot] ?? '';
  if (isText(before, bytes, start, end)) return before;
  const text = String.fromCharCode(...bytes.subarray(start, end));
  known[slot] = text;
  return text;
}

function isText(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = start; at < end; at += 1) if (text.charCodeAt(at - start) !== bytes[at]) return false;
  return true;
}
