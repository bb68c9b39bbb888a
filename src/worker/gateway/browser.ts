/** Tells people with a browser from registry clients, by `Accept`. */
import { parseAccept } from '../../http/accept.ts';

/**
 * Whether the client is a browser: its `Accept` names `text/html`. Registry clients name manifest types, `*\/*` or
 * nothing. Those in Java that set no `Accept` send the default of HttpURLConnection, `text/html, image/gif, image/jpeg,
 * *; q=.2, *\/*; q=.2`. It has images like that of a browser, but not the XHTML that every browser names.
 */
export function isBrowser(accept: string | null): boolean {
  if (accept?.toLowerCase().includes('text/html') !== true) return false;
  const types = new Map((parseAccept(accept) ?? []).map(({ type, q }) => [type, q]));
  if ((types.get('text/html') ?? 0) === 0) return false;
  return types.has('application/xhtml+xml') || !types.has('image/gif');
}
