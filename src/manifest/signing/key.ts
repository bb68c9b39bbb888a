/**
 * Keys that sign and verify schema 1 manifests: EC on P-256, P-384 and P-521, and RSA; their files (PEM or JWK, as
 * docker/distribution reads them) and their libtrust key id.
 */
import { createECDH, createPrivateKey, createPublicKey, createHash, type Jwk, X509Certificate } from 'node:crypto';
import { fromBase64Url, toBase32, toBase64Url } from '../../registry/base64.ts';
import { type EcdsaCurve, isScalar } from './ecdsa.ts';

/** JOSE algorithm, hash, bytes of a coordinate, OpenSSL name and order of each curve (FIPS 186-5; SEC 2). */
export const CURVES = {
  'P-256': {
    algorithm: 'ES256',
    hash: 'sha256',
    size: 32,
    openssl: 'prime256v1',
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-384': {
    algorithm: 'ES384',
    hash: 'sha384',
    size: 48,
    openssl: 'secp384r1',
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  'P-521': {
    algorithm: 'ES512',
    hash: 'sha512',
    size: 66,
    openssl: 'secp521r1',
    order:
      0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
} as const satisfies Readonly<Record<string, EcdsaCurve & { readonly algorithm: string }>>;

/** A curve's JOSE name. */
export type Curve = keyof typeof CURVES;

/** A public key: the required members of its JWK (RFC 7518, section 6), in their canonical base64url. */
export type PublicKey =
  | { readonly kty: 'EC'; readonly crv: Curve; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string };

/** A private key, with the public key that belongs to it. EC: the scalar, as long as the curve's coordinates. */
export type PrivateKey =
  | { readonly kty: 'EC'; readonly public: PublicKey & { readonly kty: 'EC' }; readonly d: Uint8Array }
  | { readonly kty: 'RSA'; readonly public: PublicKey & { readonly kty: 'RSA' }; readonly jwk: Jwk };

/** A key that cannot be read. The message says what was found and what is expected. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/**
 * Makes a P-256 key from 32 random bytes. Null if they are not a scalar of the curve (probability 2⁻³²): try others.
 */
export function keyFromRandom(bytes: Uint8Array): PrivateKey | null {
  return isScalar(CURVES['P-256'], bytes) ? ecKey('P-256', bytes) : null;
}

/**
 * Reads a key file: PEM `EC PRIVATE KEY` (SEC 1), PEM `RSA PRIVATE KEY` (PKCS#1) or a JWK. Throws {@link KeyError}.
 */
export function readPrivateKey(text: string): PrivateKey {
  const given = text.trimStart().startsWith('{') ? readJwk(text) : null;
  let jwk: Jwk;
  try {
    jwk = createPrivateKey(given === null ? readPem(text) : { key: given, format: 'jwk' }).export({ format: 'jwk' });
  } catch (cause) {
    if (cause instanceof KeyError) throw cause;
    throw new KeyError('the key file is damaged: the private key in it cannot be read', { cause });
  }
  if (jwk.kty === 'RSA') return { kty: 'RSA', public: rsaMembers(jwk), jwk };
  const key = ecKey(curveOf(jwk.crv), base64UrlMember(jwk.d));
  if (given !== null && keyId(readPublicJwk(given)) !== keyId(key.public))
    throw new KeyError('the private and the public part of the key do not match');
  return key;
}

/** Writes an EC key as PEM `EC PRIVATE KEY` (SEC 1), which docker-registry reads too. */
export function writePrivateKey(key: PrivateKey): string {
  if (key.kty !== 'EC') throw new KeyError('only EC keys are written');
  const jwk = { ...key.public, d: toBase64Url(key.d) };
  return createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'sec1', format: 'pem' });
}

/**
 * The key id that libtrust gives: 240 bits of the sha256 of the DER SubjectPublicKeyInfo, base32, in twelve groups of
 * four. Engines refuse a manifest with any other id.
 */
export function keyId(key: PublicKey): string {
  const spki = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'der' });
  const sha256 = createHash('sha256');
  sha256.update(spki);
  const text = toBase32(sha256.digest().subarray(0, 30));
  return (text.match(/.{4}/g) ?? []).join(':');
}

/** The public members of a key's JWK. */
export function publicJwk(key: PublicKey): Readonly<Record<string, string>> {
  return key.kty === 'EC'
    ? { crv: key.crv, kid: keyId(key), kty: 'EC', x: key.x, y: key.y }
    : { e: key.e, kid: keyId(key), kty: 'RSA', n: key.n };
}

/** Reads a public JWK as libtrust does: a `kid`, where there is one, must be the key's own. Throws {@link KeyError}. */
export function readPublicJwk(value: unknown): PublicKey {
  if (typeof value !== 'object' || value === null) throw new KeyError('the key is not a JWK object');
  const jwk = value as Jwk;
  if (jwk.kty !== 'EC' && jwk.kty !== 'RSA')
    throw new KeyError(`the key type ${JSON.stringify(jwk.kty)} is not supported`);
  const key = jwk.kty === 'EC' ? ecMembers(jwk) : rsaMembers(jwk);
  let id: string;
  try {
    id = keyId(key);
  } catch (cause) {
    throw new KeyError(jwk.kty === 'EC' ? 'the key is not a point of its curve' : 'the key is not an RSA key', {
      cause,
    });
  }
  if (jwk.kid !== undefined && jwk.kid !== id) throw new KeyError('the key id (kid) is not that of the key');
  return key;
}

/** The public key of an X.509 certificate in DER. Throws {@link KeyError}. */
export function readCertificateKey(der: Uint8Array): PublicKey {
  let jwk: Jwk;
  try {
    jwk = new X509Certificate(der).publicKey.export({ format: 'jwk' });
  } catch (cause) {
    throw new KeyError('the certificate is damaged, or its key is of a type that is not supported', { cause });
  }
  return readPublicJwk(jwk);
}

/** The PEM block of the private key. OpenSSL would accept more than docker/distribution does. */
function readPem(text: string): string {
  const match = /-----BEGIN ((?!EC PARAMETERS)[A-Z0-9 ]+)-----([^-]*)-----END \1-----/.exec(text);
  if (match === null) throw new KeyError('the key file is neither PEM nor a JWK');
  const [block, label = '', body = ''] = match;
  if (label === 'PRIVATE KEY') {
    throw new KeyError(
      'the key file is PKCS#8 ("PRIVATE KEY"), which docker-registry refuses too; ' +
        'convert it with: openssl ec -in key.pem -out sec1.pem (or openssl rsa -traditional)',
    );
  }
  if (label !== 'EC PRIVATE KEY' && label !== 'RSA PRIVATE KEY')
    throw new KeyError(`the key file holds "${label}"; "EC PRIVATE KEY" or "RSA PRIVATE KEY" is expected`);
  if (/^Proc-Type:/m.test(body)) throw new KeyError('the key file is encrypted; decrypt it first');
  return block;
}

function readJwk(text: string): Jwk {
  let jwk: unknown;
  try {
    jwk = JSON.parse(text);
  } catch (cause) {
    throw new KeyError('the key file is damaged: not JSON', { cause });
  }
  const key = readPublicJwk(jwk);
  const { d, p, q, dp, dq, qi } = jwk as Jwk;
  if (typeof d !== 'string') throw new KeyError('the key file has no private part (d)');
  if (key.kty === 'EC') return { ...key, d };
  if (![p, q, dp, dq, qi].every((member) => typeof member === 'string'))
    throw new KeyError('the RSA key lacks some of its private members (p, q, dp, dq, qi)');
  return { ...key, d, p, q, dp, dq, qi };
}

/** An EC key from its scalar. The public point is always computed: a file may hold another one. */
function ecKey(crv: Curve, scalar: Uint8Array): PrivateKey & { readonly kty: 'EC' } {
  const { openssl, size } = CURVES[crv];
  const d = new Uint8Array(size);
  const ecdh = createECDH(openssl);
  try {
    d.set(scalar, size - scalar.length);
    ecdh.setPrivateKey(d);
  } catch (cause) {
    throw new KeyError('the private key is not a scalar of its curve', { cause });
  }
  const point = ecdh.getPublicKey();
  const [x, y] = [toBase64Url(point.subarray(1, 1 + size)), toBase64Url(point.subarray(1 + size))];
  return { kty: 'EC', public: { kty: 'EC', crv, x, y }, d };
}

function ecMembers(jwk: Jwk): PublicKey & { readonly kty: 'EC' } {
  const crv = curveOf(jwk.crv);
  return { kty: 'EC', crv, x: coordinate(crv, jwk.x), y: coordinate(crv, jwk.y) };
}

function rsaMembers(jwk: Jwk): PublicKey & { readonly kty: 'RSA' } {
  const [n, e] = [withoutZeros(base64UrlMember(jwk.n)), withoutZeros(base64UrlMember(jwk.e))];
  if (e.length > 4) throw new KeyError('the RSA exponent is too long');
  return { kty: 'RSA', n: toBase64Url(n), e: toBase64Url(e) };
}

function curveOf(crv: unknown): Curve {
  if (typeof crv !== 'string' || !Object.hasOwn(CURVES, crv))
    throw new KeyError(`the key is on the curve ${JSON.stringify(crv)}; P-256, P-384 or P-521 is expected`);
  return crv as Curve;
}

function coordinate(crv: Curve, value: unknown): string {
  const bytes = base64UrlMember(value);
  if (bytes.length !== CURVES[crv].size) throw new KeyError('a coordinate of the key has the wrong length');
  return toBase64Url(bytes);
}

function base64UrlMember(value: unknown): Uint8Array {
  if (typeof value !== 'string') throw new KeyError('a member of the key is missing');
  const bytes = fromBase64Url(value);
  if (bytes === null) throw new KeyError('a member of the key is not base64url');
  return bytes;
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  return bytes.subarray(start === -1 ? bytes.length - 1 : start);
}
