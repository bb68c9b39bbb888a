/** Conditional requests (RFC 9110, section 13). Entity tags are written as in `ETag`: quoted, with `W/` if weak. */

const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/**
 * Whether `If-Match`, a list or `*`, allows a response with the entity tag by strong comparison (section 13.1.1).
 * Without the header, every response is allowed.
 */
export function allowsMatch(ifMatch: string | null, etag: string): boolean {
  if (ifMatch === null || ifMatch.trim() === '*') return true;
  return !etag.startsWith('W/') && (ifMatch.match(ENTITY_TAG) ?? []).some((one) => one === etag);
}

/** Whether `If-None-Match`, a list or `*`, matches the entity tag by weak comparison (section 13.1.2). */
export function isNamed(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = withoutWeakness(etag);
  return (ifNoneMatch.match(ENTITY_TAG) ?? []).some((one) => withoutWeakness(one) === opaque);
}

/**
 * Whether `If-Range` allows a range: it is absent, or it is the same strong entity tag (section 13.1.5). A date never
 * matches, because responses have no `Last-Modified`.
 */
export function allowsRange(ifRange: string | null, etag: string): boolean {
  return ifRange === null || (ifRange.trim() === etag && !etag.startsWith('W/'));
}

function withoutWeakness(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}
