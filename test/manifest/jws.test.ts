import { readdirSync, readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSigner, SignatureError, verifyDocument } from '../../src/manifest/jws.ts';
import { keyFromRandom, keyId, readPrivateKey, writePrivateKey } from '../../src/manifest/key.ts';
import { sha256Of } from '../../src/manifest/sha256.ts';

const verifyFolder = new URL('../fixtures/schema1-verify/', import.meta.url);
const signedFolder = new URL('../fixtures/schema1-signed/', import.meta.url);
const payload = new Uint8Array(readFileSync(new URL('../fixtures/schema1/02-busybox-classic/payload.json', import.meta.url)));
const TIME = '2026-11-24T00:08:56Z';

const testKey = () => {
  const key = keyFromRandom(new Uint8Array(32).fill(7));
  if (key === null) throw new Error('no key');
  return key;
};

describe('verifying signed schema 1 documents agrees with libtrust', () => {
  it.each(readdirSync(verifyFolder).filter((file) => file.startsWith('ok-')))('%s is accepted', (file) => {
    expect(JSON.parse(new TextDecoder().decode(verifyDocument(new Uint8Array(readFileSync(new URL(file, verifyFolder)))).payload))).toMatchObject({
      schemaVersion: 1,
    });
  });

  it.each(readdirSync(verifyFolder).filter((file) => file.startsWith('bad-')))('%s is refused', (file) => {
    expect(() => verifyDocument(new Uint8Array(readFileSync(new URL(file, verifyFolder))))).toThrow(SignatureError);
  });

  it.each(readdirSync(signedFolder))('%s, signed by libtrust, is accepted', (file) => {
    expect(() => verifyDocument(new Uint8Array(readFileSync(new URL(file, signedFolder))))).not.toThrow();
  });
});

describe('signing', () => {
  it('gives the same bytes for the same payload, time and key', () => {
    const signer = createSigner(testKey());
    expect(sha256Of(signer.sign(payload, TIME))).toBe(sha256Of(signer.sign(payload, TIME)));
  });

  it.each([
    ['P-256', 'ec', { namedCurve: 'P-256' }, 'sec1'],
    ['P-384', 'ec', { namedCurve: 'P-384' }, 'sec1'],
    ['P-521', 'ec', { namedCurve: 'P-521' }, 'sec1'],
    ['RSA 2048', 'rsa', { modulusLength: 2048 }, 'pkcs1'],
  ] as const)('reads a %s key file, and what it signs verifies and yields the payload', (_, type, options, format) => {
    const { privateKey } = generateKeyPairSync(type as 'ec', options as { namedCurve: string });
    const key = readPrivateKey(privateKey.export({ type: format as 'sec1', format: 'pem' }).toString());
    const { payload: back, keys } = verifyDocument(createSigner(key).sign(payload, TIME));
    expect(sha256Of(back)).toBe(sha256Of(payload));
    expect(keys.map(keyId)).toEqual([keyId(key.public)]);
    const jwk = readPrivateKey(JSON.stringify(privateKey.export({ format: 'jwk' })));
    expect(keyId(jwk.public)).toBe(keyId(key.public));
  });

  it('signs a compact payload compactly', () => {
    const compact = new TextEncoder().encode('{"schemaVersion":1}');
    const document = createSigner(testKey()).sign(compact, TIME);
    expect(new TextDecoder().decode(document)).toMatch(/^\{"schemaVersion":1,"signatures":\[\{"header":.*\}\]\}$/);
    expect(sha256Of(verifyDocument(document).payload)).toBe(sha256Of(compact));
  });
});

describe('key files', () => {
  it('are written so that they read back the same', () => {
    expect(readPrivateKey(writePrivateKey(testKey()))).toEqual(testKey());
  });

  it('of PKCS#8 are refused, with what to do', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(() => readPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toThrow(/PKCS#8.*openssl/);
  });

  it.each(['', 'hello', '{', '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----', '{"kty":"oct","k":"AA"}'])(
    'that are no key are refused: %j',
    (text) => {
      expect(() => readPrivateKey(text)).toThrow(/key/);
    },
  );
});
