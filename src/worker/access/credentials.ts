/** The credentials in `Authorization`. `unreadable`: neither Basic nor Bearer, too long, or not decodable. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'unreadable' };

/**
 * Maximum length of `Authorization`, in characters. Supported tokens are far shorter; the limit bounds the work of
 * decoding.
 */
export const AUTHORIZATION_MAX_LENGTH = 16_384;

/**
 * Parses `Authorization` (RFC 7617, RFC 6750). The user name of Basic is ignored: the token alone identifies the
 * caller. Empty Basic credentials (`Og==`) count as none: Docker before 1.10, skopeo and podman send them if they have
 * no credentials.
 */
export function readCredentials(authorization: string | null): Credentials {
  if (authorization === null || authorization === '') return { kind: 'none' };
  if (authorization.length > AUTHORIZATION_MAX_LENGTH) return { kind: 'unreadable' };
  const found = /^([A-Za-z]+) +(\S+) *$/.exec(authorization);
  const value = found?.[2] ?? '';
  switch (found?.[1]?.toLowerCase()) {
    case 'basic': {
      const pair = decode(value);
      const colon = pair?.indexOf(':') ?? -1;
      if (pair === null || colon < 0) return { kind: 'unreadable' };
      return pair === ':' ? { kind: 'none' } : { kind: 'basic', password: pair.slice(colon + 1) };
    }
    case 'bearer':
      return { kind: 'bearer', token: value };
    default:
      return { kind: 'unreadable' };
  }
}

function decode(base64: string): string | null {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
    );
  } catch {
    return null;
  }
}
