/** Text for display. Text from images is untrusted: it must not hide, reorder or overflow the text around it. */

/**
 * Control characters, lone surrogates, and characters that are invisible or change the direction of what follows
 * (Unicode TR 36, "Bidirectional Text Spoofing"); line feed and tab are left in.
 */
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu;

/** The text with hidden characters shown as `⟨U+202E⟩`, cut to `limit` characters. */
export function visible(text: string, limit = 4_000): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(
    HIDDEN,
    (character) => `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}

/** The text of a search field, without hidden characters, cut to `limit` characters. */
export function searchText(text: string | null, limit: number): string {
  return (text ?? '').replace(HIDDEN, '').trim().slice(0, limit);
}

const AGES = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;

/** The age of a time (RFC 3339): `3 days ago`; the text itself if it is not a time. */
export function formatAge(time: string, now: Date): string {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return visible(time, 40);
  const seconds = Math.max(0, (now.getTime() - at) / 1000);
  for (const [unit, length] of AGES) {
    const count = Math.floor(seconds / length);
    if (count > 0) return `${String(count)} ${unit}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}

/** `1 tag`, `12 tags`, `1,200 tags`. */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? singular : plural}`;
}

/** Longest address that is a link, in characters. */
const ADDRESS_MAX = 1_000;

/**
 * The address in a text of an image, if it is nothing but an `http` or `https` URL; otherwise null. A URL with a user
 * name is none: it can look like one of another host.
 */
export function webAddress(text: string): string | null {
  if (text.length > ADDRESS_MAX || !/^https?:\/\/[^\s"'<>\\^`{|}]+$/i.test(text) || !URL.canParse(text)) return null;
  const { href, protocol, username, password } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '' ? href : null;
}
