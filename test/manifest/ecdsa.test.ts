import { randomBytes } from 'node:crypto';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { describe, expect, it } from 'vitest';
import { signEcdsa } from '../../src/manifest/signing/ecdsa.ts';
import { CURVES } from '../../src/manifest/signing/key.ts';

describe('a signature', () => {
  it('is that of RFC 6979, appendix A.2.5, with SHA-256', () => {
    const key = Buffer.from('C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721', 'hex');
    const signed = (text: string): string =>
      Buffer.from(signEcdsa(CURVES['P-256'], key, Buffer.from(text)))
        .toString('hex')
        .toUpperCase();
    expect(signed('sample')).toBe(
      'EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716' +
        'F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8',
    );
    expect(signed('test')).toBe(
      'F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367' +
        '019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083',
    );
  });

  // noble's nonces are those of RFC 6979, too.
  it.each([
    ['P-256', p256],
    ['P-384', p384],
    ['P-521', p521],
  ] as const)('is that of another implementation, on %s', (name, other) => {
    for (let at = 0; at < 50; at++) {
      const { secretKey } = other.keygen();
      const message = randomBytes(at);
      expect(Buffer.from(signEcdsa(CURVES[name], secretKey, message))).toEqual(
        Buffer.from(other.sign(message, secretKey, { lowS: false })),
      );
    }
  });
});
