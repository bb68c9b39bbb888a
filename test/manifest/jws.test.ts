import { readdirSync, readFileSync } from 'node:fs';
import {
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  verify,
} from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSigner, SignatureError, verifyDocument } from '../../src/manifest/signing/jws.ts';
import {
  keyFromRandom,
  keyId,
  type PrivateKey,
  readPrivateKey,
  writePrivateKey,
} from '../../src/manifest/signing/key.ts';
import { sha256Of } from '../../src/manifest/signing/sha256.ts';

const verifyFolder = new URL('../fixtures/schema1-verify/', import.meta.url);
const signedFolder = new URL('../fixtures/schema1-signed/', import.meta.url);
const payload = new Uint8Array(
  readFileSync(new URL('../fixtures/schema1/02-busybox-classic/payload.json', import.meta.url)),
);
const TIME = '2026-11-24T00:08:56Z';

const testKey = () => {
  const key = keyFromRandom(new Uint8Array(32).fill(7));
  if (key?.kty !== 'EC') throw new Error('no key');
  return key;
};

describe('verifying signed schema 1 documents agrees with libtrust', () => {
  it.each(readdirSync(verifyFolder).filter((file) => file.startsWith('ok-')))('%s is accepted', (file) => {
    expect(
      JSON.parse(
        new TextDecoder().decode(verifyDocument(new Uint8Array(readFileSync(new URL(file, verifyFolder)))).payload),
      ),
    ).toMatchObject({
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

/** One block of a document's signatures. */
interface Block {
  header: { jwk?: JsonWebKey; alg: string; x5c?: string[] };
  signature: string;
  protected: string;
}

const blocksOf = (document: Uint8Array): Block[] =>
  (JSON.parse(new TextDecoder().decode(document)) as { signatures: Block[] }).signatures;

/** The payload with these blocks for signatures. */
const withBlocks = (blocks: readonly Block[]): Uint8Array => {
  const text = Buffer.from(payload).toString();
  return new TextEncoder().encode(`${text.slice(0, -2)},\n   "signatures": ${JSON.stringify(blocks)}\n}`);
};

const newKey = (type: 'ec' | 'rsa', options: object, format: 'sec1' | 'pkcs1'): PrivateKey =>
  readPrivateKey(
    generateKeyPairSync(type as 'ec', options as { namedCurve: string })
      .privateKey.export({ type: format, format: 'pem' })
      .toString(),
  );

const messageOf = (block: Block): Buffer =>
  Buffer.from(`${block.protected}.${Buffer.from(payload).toString('base64url')}`);

describe('what we sign', () => {
  it.each([
    ['ES256', 'sha256', newKey('ec', { namedCurve: 'P-256' }, 'sec1')],
    ['ES384', 'sha384', newKey('ec', { namedCurve: 'P-384' }, 'sec1')],
    ['ES512', 'sha512', newKey('ec', { namedCurve: 'P-521' }, 'sec1')],
    ['RS256', 'sha256', newKey('rsa', { modulusLength: 2048 }, 'pkcs1')],
  ])('%s verifies with node:crypto too', (algorithm, hash, key) => {
    const [block] = blocksOf(createSigner(key).sign(payload, TIME));
    if (block?.header.jwk === undefined) throw new Error('no block');
    expect(block.header.alg).toBe(algorithm);
    const publicKey = createPublicKey({ key: block.header.jwk, format: 'jwk' });
    expect(
      verify(
        hash,
        messageOf(block),
        { key: publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(block.signature, 'base64url'),
      ),
    ).toBe(true);
    expect(JSON.parse(Buffer.from(block.protected, 'base64url').toString())).toEqual({
      formatLength: payload.length - 2,
      formatTail: 'Cn0',
      time: TIME,
    });
  });

  it('takes the nonce of RFC 6979, section 3.2, worked out here once more', () => {
    const key = testKey();
    const [block] = blocksOf(createSigner(key).sign(payload, TIME));
    if (block === undefined) throw new Error('no block');
    const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const toInteger = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
    const toBytes = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
    const hmac = (k: Uint8Array, ...parts: readonly Uint8Array[]): Buffer =>
      createHmac('sha256', k).update(Buffer.concat(parts)).digest();
    const z = toInteger(createHash('sha256').update(messageOf(block)).digest());
    const seed = Buffer.concat([Buffer.from(key.d), toBytes(z % n)]);
    let v: Buffer = Buffer.alloc(32, 1);
    let k: Buffer = Buffer.alloc(32, 0);
    for (const separator of [0, 1]) {
      k = hmac(k, v, Buffer.of(separator), seed);
      v = hmac(k, v);
    }
    // That the first candidate is no scalar of the curve happens once in 2³².
    const nonce = hmac(k, v);
    const point = createECDH('prime256v1');
    point.setPrivateKey(nonce);
    const r = toInteger(point.getPublicKey().subarray(1, 33)) % n;
    const signature = Buffer.from(block.signature, 'base64url');
    expect(toInteger(signature.subarray(0, 32))).toBe(r);
    expect((toInteger(signature.subarray(32)) * toInteger(nonce)) % n).toBe((z + r * toInteger(key.d)) % n);
  });

  it('is the same on every machine and in every version', () => {
    expect(sha256Of(createSigner(testKey()).sign(payload, TIME))).toMatchInlineSnapshot(
      `"sha256:57d1200d28c391a6c29d3099dad70d8c3bec3599d18e366c22c5f1b10e394625"`,
    );
  });
});

describe('a document with several signatures', () => {
  const keys = [
    testKey(),
    newKey('ec', { namedCurve: 'P-384' }, 'sec1'),
    newKey('rsa', { modulusLength: 2048 }, 'pkcs1'),
  ];
  const blocks = keys.flatMap((key) => blocksOf(createSigner(key).sign(payload, TIME)));

  it('of different keys and times is accepted, and names them all', () => {
    const later = blocksOf(createSigner(testKey()).sign(payload, '2027-01-01T00:00:00Z'));
    const { payload: back, keys: signers } = verifyDocument(withBlocks([...blocks, ...later]));
    expect(sha256Of(back)).toBe(sha256Of(payload));
    expect(signers.map(keyId)).toEqual([...keys, testKey()].map((key) => keyId(key.public)));
  });

  it.each([0, 1, 2])('is refused for one that does not hold (number %i)', (at) => {
    const spoilt = blocks.map((block, index) =>
      index === at ? { ...block, signature: blocks[(index + 1) % 3]?.signature ?? '' } : block,
    );
    expect(() => verifyDocument(withBlocks(spoilt))).toThrow(SignatureError);
  });

  it.each([
    ['repeats a member', '"alg":', '"alg":"none","alg":'],
    ['has a member in other case', '"alg":', '"ALG":"none","alg":'],
    ['is nested too deep', '"jwk":{', `"jwk":{"x":${'['.repeat(9_000)}${']'.repeat(9_000)},`],
  ])('is refused where a block %s', (_, from, to) => {
    expect(() =>
      verifyDocument(new TextEncoder().encode(Buffer.from(withBlocks(blocks)).toString().replace(from, to))),
    ).toThrow(SignatureError);
  });

  it('is refused where the key of one is beyond what Go reads', () => {
    const text = Buffer.from(withBlocks(blocks)).toString();
    expect(() => verifyDocument(new TextEncoder().encode(text.replace('"jwk":{', '"jwk":{"x-more":1e400,')))).toThrow(
      SignatureError,
    );
  });
});

describe('a document signed by a certificate (x5c)', () => {
  const pem = (file: string): string => readFileSync(new URL(`../fixtures/doctor/${file}`, import.meta.url)).toString();
  const key = readPrivateKey(createPrivateKey(pem('key.pem')).export({ type: 'sec1', format: 'pem' }).toString());
  const [block] = blocksOf(createSigner(key).sign(payload, TIME));
  if (block === undefined) throw new Error('no block');
  const certificate = pem('cert.pem').replace(/-----[A-Z ]+-----|\s/g, '');
  const signedBy = (x5c: string[], signature = block.signature): Uint8Array =>
    withBlocks([{ header: { alg: 'ES256', x5c }, signature, protected: block.protected }]);

  it('is accepted, its key that of the leaf', () => {
    expect(verifyDocument(signedBy([certificate])).keys.map(keyId)).toEqual([keyId(key.public)]);
  });

  it('is refused where the certificate is damaged, or another signed', () => {
    expect(() => verifyDocument(signedBy([certificate.slice(0, 200)]))).toThrow(SignatureError);
    expect(() => verifyDocument(signedBy(['!']))).toThrow(SignatureError);
    expect(() =>
      verifyDocument(signedBy([certificate], blocksOf(createSigner(testKey()).sign(payload, TIME))[0]?.signature)),
    ).toThrow(SignatureError);
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
    const key = readPrivateKey(privateKey.export({ type: format, format: 'pem' }).toString());
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
    expect(() => readPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toThrow(
      /PKCS#8.*openssl/,
    );
  });

  it.each([
    '',
    'hello',
    '{',
    '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----',
    '{"kty":"oct","k":"AA"}',
  ])('that are no key are refused: %j', (text) => {
    expect(() => readPrivateKey(text)).toThrow(/key/);
  });
});
