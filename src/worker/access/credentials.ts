/**
 * What a client presented in `Authorization`. `unreadable`: something that is neither Basic nor Bearer, or too long, or
 * not decodable.
 */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'unreadable' };

/**
 * Longest `Authorization` that is looked at, in characters. Tokens of the kinds served here are far shorter; nobody
 * makes us decode more.
 */
export const AUTHORIZATION_MAX_LENGTH = 16_384;

/**
 * Reads `Authorization` (RFC 7617, RFC 6750). The user name of Basic is not looked at: the token alone says who it is.
 * Empty Basic credentials (`Og==`) are no credentials: Docker before 1.10, skopeo and podman send them where they have
 * none.
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
