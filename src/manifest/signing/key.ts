/**
 * Keys that sign and verify schema 1 manifests: EC on P-256, P-384 and P-521, and RSA; their files (PEM or JWK, as docker/distribution reads them) and their libtrust
 * key id.
 */
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { sha384, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { fromBase64, fromBase64Url, toBase32, toBase64, toBase64Url } from './base64.ts';
import {
  DER,
  type DerElement,
  DerError,
  derIntegerBytes,
  OIDS,
  readDer,
  readDerInside,
  writeDer,
  writeDerInteger,
} from './der.ts';
import { sha256Bytes } from './sha256.ts';

/** What each curve is, in JOSE and for us. `size`: bytes of a coordinate; `hash`: what is signed is hashed with it. */
export const CURVES = {
  'P-256': { algorithm: 'ES256', size: 32, hash: sha256Bytes, noble: p256 },
  'P-384': { algorithm: 'ES384', size: 48, hash: sha384, noble: p384 },
  'P-521': { algorithm: 'ES512', size: 66, hash: sha512, noble: p521 },
} as const;

// A command or an isolate signs a few manifests, not thousands: a table of smaller windows costs a fourth of the usual one, which takes longer than all else a tag needs.
for (const { noble } of Object.values(CURVES)) noble.Point.BASE.precompute(3);

/** A curve's JOSE name. */
export type Curve = keyof typeof CURVES;

/** A public key. EC: coordinates padded to the curve's size. RSA: modulus and exponent without leading zeros. Big-endian bytes. */
export type PublicKey =
  | { readonly kty: 'EC'; readonly crv: Curve; readonly x: Uint8Array; readonly y: Uint8Array }
  | { readonly kty: 'RSA'; readonly n: Uint8Array; readonly e: Uint8Array };

/** A private key, with the public key that belongs to it. `d`: big-endian bytes; of EC keys padded to the curve's size. */
export interface PrivateKey {
  readonly public: PublicKey;
  readonly d: Uint8Array;
}

/** A key that cannot be read. The message says what it was and what is expected. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/** Makes a P-256 key from 32 bytes of a good random source; null in the (2⁻³²) case that they are no scalar of the curve: take others. */
export function keyFromRandom(bytes: Uint8Array): PrivateKey | null {
  return p256.utils.isValidSecretKey(bytes) ? ecKey('P-256', bytes, ownPointOf) : null;
}

/** Gives the public point of a private key, uncompressed (SEC 1, 2.3.3), which is a scalar of the curve. */
export type PointOf = (crv: Curve, d: Uint8Array) => Uint8Array;

const ownPointOf: PointOf = (crv, d) => CURVES[crv].noble.getPublicKey(d, false);

/** Reads a key file: PEM `EC PRIVATE KEY` (SEC 1), PEM `RSA PRIVATE KEY` (PKCS#1) or a JWK. `pointOf`: the platform's own way, where it has one. Throws {@link KeyError}. */
export function readPrivateKey(text: string, pointOf = ownPointOf): PrivateKey {
  try {
    return text.trimStart().startsWith('{') ? fromJwk(text, pointOf) : fromPem(text, pointOf);
  } catch (error) {
    if (error instanceof DerError)
      throw new KeyError('the key file is damaged: its content is not DER', { cause: error });
    throw error;
  }
}

/** Writes an EC key as PEM `EC PRIVATE KEY` (SEC 1), which docker-registry reads too. */
export function writePrivateKey(key: PrivateKey): string {
  if (key.public.kty !== 'EC') throw new KeyError('only EC keys are written');
  const { crv, x, y } = key.public;
  const der = writeDer(
    DER.sequence,
    writeDer(DER.integer, Uint8Array.of(1)),
    writeDer(DER.octetString, key.d),
    writeDer(0xa0, writeDer(DER.oid, hexToBytes(OIDS[crv]))),
    writeDer(0xa1, writeDer(DER.bitString, Uint8Array.of(0, 4), x, y)),
  );
  return `-----BEGIN EC PRIVATE KEY-----\n${toBase64(der).replace(/.{1,64}/g, '$&\n')}-----END EC PRIVATE KEY-----\n`;
}

/** The key id that libtrust gives: 240 bits of the sha256 of the DER SubjectPublicKeyInfo, base32, in twelve groups of four. Another id makes the manifest unreadable. */
export function keyId(key: PublicKey): string {
  const text = toBase32(sha256Bytes(subjectPublicKeyInfo(key)).subarray(0, 30));
  return (text.match(/.{4}/g) ?? []).join(':');
}

/** The public members of a key's JWK. */
export function publicJwk(key: PublicKey): Readonly<Record<string, string>> {
  return key.kty === 'EC'
    ? { crv: key.crv, kid: keyId(key), kty: 'EC', x: toBase64Url(key.x), y: toBase64Url(key.y) }
    : { e: toBase64Url(key.e), kid: keyId(key), kty: 'RSA', n: toBase64Url(key.n) };
}

/** Reads a public JWK as libtrust does: a `kid` that is there must be the right one. Throws {@link KeyError}. */
export function readPublicJwk(jwk: unknown): PublicKey {
  if (typeof jwk !== 'object' || jwk === null) throw new KeyError('the key is not a JWK object');
  const { kty, crv, x, y, n, e, kid } = jwk as Record<string, unknown>;
  let key: PublicKey;
  if (kty === 'EC') {
    const curve = curveOf(crv);
    key = { kty, crv: curve, x: coordinate(curve, x), y: coordinate(curve, y) };
    assertOnCurve(key);
  } else if (kty === 'RSA') {
    key = { kty, n: withoutZeros(base64UrlMember(n)), e: withoutZeros(base64UrlMember(e)) };
    if (key.e.length > 4) throw new KeyError('the RSA exponent is too long');
  } else throw new KeyError(`the key type ${JSON.stringify(kty)} is not supported`);
  if (kid !== undefined && kid !== keyId(key)) throw new KeyError('the key id (kid) is not that of the key');
  return key;
}

/** The public key of an X.509 certificate in DER. Throws {@link KeyError}. */
export function readCertificateKey(der: Uint8Array): PublicKey {
  try {
    const [certificate] = readDer(der);
    const [body] = readDerInside(certificate, DER.sequence);
    const fields = readDerInside(body, DER.sequence);
    // version [0] is optional; then serial, algorithm, issuer, validity, subject, key.
    return readSubjectPublicKeyInfo(fields[fields[0]?.tag === 0xa0 ? 6 : 5]);
  } catch (error) {
    if (error instanceof DerError) throw new KeyError('the certificate is damaged', { cause: error });
    throw error;
  }
}

function fromPem(text: string, pointOf: PointOf): PrivateKey {
  const match = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/.exec(
    text.replace(/-----BEGIN EC PARAMETERS-----[^-]*-----END EC PARAMETERS-----/, ''),
  );
  const [, label = '', body = ''] = match ?? [];
  if (match === null) throw new KeyError('the key file is neither PEM nor a JWK');
  if (label === 'PRIVATE KEY') {
    throw new KeyError(
      'the key file is PKCS#8 ("PRIVATE KEY"), which docker-registry refuses too; convert it with: openssl ec -in key.pem -out sec1.pem (or openssl rsa -traditional)',
    );
  }
  if (/^Proc-Type:/m.test(body)) throw new KeyError('the key file is encrypted; decrypt it first');
  const der = fromBase64(body);
  if (der === null) throw new KeyError('the key file is damaged: its body is not base64');
  const fields = readDerInside(readDer(der)[0], DER.sequence);
  if (label === 'EC PRIVATE KEY') {
    const parameters = fields.find(({ tag }) => tag === 0xa0);
    const crv = curveOfOid(parameters === undefined ? undefined : readDer(parameters.content)[0]);
    const d = fields[1];
    if (d?.tag !== DER.octetString) throw new KeyError('the key file is damaged: no private key in it');
    return ecKey(crv, padded(d.content, CURVES[crv].size), pointOf);
  }
  if (label === 'RSA PRIVATE KEY') {
    return {
      public: { kty: 'RSA', n: derIntegerBytes(fields[1]), e: derIntegerBytes(fields[2]) },
      d: derIntegerBytes(fields[3]),
    };
  }
  throw new KeyError(`the key file holds "${label}"; "EC PRIVATE KEY" or "RSA PRIVATE KEY" is expected`);
}

function fromJwk(text: string, pointOf: PointOf): PrivateKey {
  let jwk: unknown;
  try {
    jwk = JSON.parse(text);
  } catch (cause) {
    throw new KeyError('the key file is damaged: not JSON', { cause });
  }
  const key = readPublicJwk(jwk);
  const d = base64UrlMember((jwk as Record<string, unknown>).d, 'the key file has no private part (d)');
  if (key.kty === 'RSA') return { public: key, d };
  const made = ecKey(key.crv, padded(d, CURVES[key.crv].size), pointOf);
  if (keyId(made.public) !== keyId(key))
    throw new KeyError('the private and the public part of the key do not belong together');
  return made;
}

function ecKey(crv: Curve, d: Uint8Array, pointOf: PointOf): PrivateKey {
  const { noble, size } = CURVES[crv];
  if (!noble.utils.isValidSecretKey(d)) throw new KeyError('the private key is no scalar of its curve');
  const point = pointOf(crv, d);
  return { public: { kty: 'EC', crv, x: point.slice(1, 1 + size), y: point.slice(1 + size) }, d };
}

function assertOnCurve(key: PublicKey & { kty: 'EC' }): void {
  try {
    CURVES[key.crv].noble.Point.fromBytes(ecPoint(key)).assertValidity();
  } catch (cause) {
    throw new KeyError('the key is no point of its curve', { cause });
  }
}

/** An EC key as an uncompressed point (SEC 1, 2.3.3). */
export function ecPoint(key: PublicKey & { kty: 'EC' }): Uint8Array {
  return Uint8Array.of(4, ...key.x, ...key.y);
}

function subjectPublicKeyInfo(key: PublicKey): Uint8Array {
  const [algorithm, bits] =
    key.kty === 'EC'
      ? [writeDer(DER.sequence, oid('ecPublicKey'), oid(key.crv)), ecPoint(key)]
      : [
          writeDer(DER.sequence, oid('rsaEncryption'), writeDer(DER.null)),
          writeDer(DER.sequence, writeDerInteger(key.n), writeDerInteger(key.e)),
        ];
  return writeDer(DER.sequence, algorithm, writeDer(DER.bitString, Uint8Array.of(0), bits));
}

function readSubjectPublicKeyInfo(element: DerElement | undefined): PublicKey {
  const [algorithm, bits] = readDerInside(element, DER.sequence);
  const [type, parameters] = readDerInside(algorithm, DER.sequence);
  if (bits?.tag !== DER.bitString) throw new DerError('expected a bit string');
  const content = bits.content.subarray(1);
  if (type !== undefined && bytesToHex(type.content) === OIDS.rsaEncryption) {
    const [n, e] = readDerInside(readDer(content)[0], DER.sequence);
    return { kty: 'RSA', n: derIntegerBytes(n), e: derIntegerBytes(e) };
  }
  const crv = curveOfOid(parameters);
  const { size } = CURVES[crv];
  if (content.length !== 1 + 2 * size || content[0] !== 4)
    throw new KeyError('the key of the certificate is not an uncompressed point');
  const key = { kty: 'EC', crv, x: content.slice(1, 1 + size), y: content.slice(1 + size) } as const;
  assertOnCurve(key);
  return key;
}

function oid(name: keyof typeof OIDS): Uint8Array {
  return writeDer(DER.oid, hexToBytes(OIDS[name]));
}

function curveOfOid(element: DerElement | undefined): Curve {
  const hex = element?.tag === DER.oid ? bytesToHex(element.content) : '';
  const crv = (Object.keys(CURVES) as Curve[]).find((name) => OIDS[name] === hex);
  if (crv === undefined) throw new KeyError('the key is on none of the curves P-256, P-384 and P-521');
  return crv;
}

function curveOf(crv: unknown): Curve {
  if (typeof crv !== 'string' || !Object.hasOwn(CURVES, crv))
    throw new KeyError(`the curve ${JSON.stringify(crv)} is not supported`);
  return crv as Curve;
}

function coordinate(crv: Curve, value: unknown): Uint8Array {
  const bytes = base64UrlMember(value);
  if (bytes.length !== CURVES[crv].size) throw new KeyError('a coordinate of the key has the wrong length');
  return bytes;
}

function base64UrlMember(value: unknown, missing = 'a member of the key is missing'): Uint8Array {
  if (typeof value !== 'string') throw new KeyError(missing);
  const bytes = fromBase64Url(value);
  if (bytes === null) throw new KeyError('a member of the key is not base64url');
  return bytes;
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  return bytes.subarray(start);
}

function padded(bytes: Uint8Array, size: number): Uint8Array {
  const bare = withoutZeros(bytes);
  if (bare.length > size) throw new KeyError('the private key is too long for its curve');
  const whole = new Uint8Array(size);
  whole.set(bare, size - bare.length);
  return whole;
}
