const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const VALUES: ReadonlyMap<string, number> = new Map(Array.from(ALPHABET, (char, value) => [char, value]));

const CODES = new TextEncoder().encode(ALPHABET);
const ASCII = new TextDecoder();

/** Bytes in base64url without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  return ASCII.decode(base64UrlBehind(EMPTY, bytes));
}

const EMPTY = new Uint8Array(0);

/** Some bytes as they are, and behind them others in base64url without padding. A signed document of some megabytes passes through here: one array, no strings. */
export function base64UrlBehind(head: Uint8Array, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(head.length + Math.ceil((bytes.length * 4) / 3));
  out.set(head);
  let to = head.length;
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    // What lies beyond the end of a typed array is dropped, which cuts the last group to its length.
    out[to++] = CODES[group >> 18] ?? 0;
    out[to++] = CODES[(group >> 12) & 63] ?? 0;
    out[to++] = CODES[(group >> 6) & 63] ?? 0;
    out[to++] = CODES[group & 63] ?? 0;
  }
  return out;
}

/**
 * Reads base64url, with or without padding, as libtrust does; null if it is anything else, the standard alphabet included. It takes spaces and line feeds out, pads what is left,
 * and hands that to Go's decoder, which passes over carriage returns: with one of them the padding no longer fits, as a rule.
 */
export function fromBase64Url(text: string): Uint8Array | null {
  const packed = text.replace(/[ \n]/g, '');
  const over = packed.length % 4;
  if (over === 1) return null;
  const padded = (over === 0 ? packed : packed.padEnd(packed.length + 4 - over, '=')).replaceAll('\r', '');
  if (padded.length % 4 !== 0) return null;
  const bare = padded.replace(/={1,2}$/, '');
  const bytes = new Uint8Array(Math.floor((bare.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let to = 0;
  for (const char of bare) {
    const value = VALUES.get(char);
    if (value === undefined) return null;
    bits = ((bits << 6) | value) & 0xff_ffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[to++] = (bits >> held) & 0xff;
    }
  }
  return bytes;
}

/** Reads standard base64 (PEM bodies, `x5c`); null if it is not that. White space is passed over. */
export function fromBase64(text: string): Uint8Array | null {
  const packed = text.replace(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(packed) || packed.length % 4 !== 0) return null;
  return fromBase64Url(packed.replaceAll('+', '-').replaceAll('/', '_'));
}

/** Bytes in standard base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  const text = toBase64Url(bytes).replaceAll('-', '+').replaceAll('_', '/');
  return text + '='.repeat((4 - (text.length % 4)) % 4);
}

/** Bytes in base32 (RFC 4648 §6), upper case, without padding. */
export function toBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xffff;
    for (held += 8; held >= 5;) {
      held -= 5;
      text += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[(bits >> held) & 31] ?? '';
    }
  }
  return held === 0 ? text : text + ('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[(bits << (5 - held)) & 31] ?? '');
}
