import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBase64, fromBase64Url, toBase32, toBase64, toBase64Url } from '../../src/registry/base64.ts';

const bytes = fc.uint8Array({ maxLength: 100 });

describe('base64', () => {
  it('is what Node makes of it, in both alphabets, and reads back', () => {
    fc.assert(
      fc.property(bytes, (some) => {
        expect(toBase64Url(some)).toBe(Buffer.from(some).toString('base64url'));
        expect(toBase64(some)).toBe(Buffer.from(some).toString('base64'));
        expect(fromBase64Url(toBase64Url(some))).toEqual(some);
        expect(fromBase64(toBase64(some))).toEqual(some);
      }),
    );
  });

  it.each(['YQ==', 'YQ', 'YQ=', 'Y Q\n', 'YQ==\r\r\r\r'])(
    'of the URL alphabet is read from %j, as libtrust reads it',
    (text) => {
      expect(fromBase64Url(text)).toEqual(Uint8Array.of(97));
    },
  );

  it.each(['Y Q\r\n', 'YQ\r=', 'Y\rQ\r', 'YQ\r\r', 'YQ==\r'])(
    'of the URL alphabet is not %j: libtrust pads before carriage returns are passed over',
    (text) => {
      expect(fromBase64Url(text)).toBeNull();
    },
  );

  it.each(['a', 'YQ===', '+/+/', 'YQ==YQ==', '=', 'é', 'Y\tQ'])('of the URL alphabet is not %j', (text) => {
    expect(fromBase64Url(text)).toBeNull();
  });

  it.each(['a', 'YQ', '-_-_', 'Y=Q=', '!'])('of the standard alphabet is not %j', (text) => {
    expect(fromBase64(text)).toBeNull();
  });

  it('base32 is that of RFC 4648, section 10, without padding', () => {
    const encode = (text: string): string => toBase32(new TextEncoder().encode(text));
    expect(['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar'].map(encode)).toEqual([
      '',
      'MY',
      'MZXQ',
      'MZXW6',
      'MZXW6YQ',
      'MZXW6YTB',
      'MZXW6YTBOI',
    ]);
  });
});
