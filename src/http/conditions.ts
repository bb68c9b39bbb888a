/** Conditional requests (RFC 9110, section 13). Entity tags are given as they stand in `ETag`: quoted, with `W/` where weak. */

const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** Whether `If-None-Match` names the entity tag, so that the client has what it asks for: a list or `*`, compared weakly (section 13.1.2). No header names nothing. */
export function isNamed(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = withoutWeakness(etag);
  return (ifNoneMatch.match(ENTITY_TAG) ?? []).some((one) => withoutWeakness(one) === opaque);
}

/**
 * Whether `If-Range` allows a range of what has the entity tag: it is absent, or the same strong tag (section 13.1.5). A date never does, since nothing here is sent
 * with a `Last-Modified`.
 */
export function allowsRange(ifRange: string | null, etag: string): boolean {
  return ifRange === null || (ifRange.trim() === etag && !etag.startsWith('W/'));
}

function withoutWeakness(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}
