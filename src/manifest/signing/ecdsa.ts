/**
 * ECDSA signatures with the nonces of RFC 6979: the same key and message give the same bytes. Node's own signatures
 * have random nonces. The point is multiplied natively, as the public key of an ECDH key pair whose private key is the
 * nonce: a multiplication in JavaScript takes most of the time of publishing a small image.
 */
import { createECDH, createHash, createHmac, randomBytes } from 'node:crypto';

/** A curve of FIPS 186-5 and the hash that JOSE uses with it. */
export interface EcdsaCurve {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** Bytes of a scalar. */
  readonly size: number;
  readonly openssl: string;
  /** The order of the base point. */
  readonly order: bigint;
}

/** Whether these bytes, `curve.size` of them, are a private key: from 1 to the order of the base point less one. */
export function isScalar(curve: EcdsaCurve, bytes: Uint8Array): boolean {
  const scalar = toInteger(bytes);
  return scalar > 0n && scalar < curve.order;
}

/** Signs a message: r‖s, each as long as a scalar. `key`: the private scalar. */
export function signEcdsa(curve: EcdsaCurve, key: Uint8Array, message: Uint8Array): Uint8Array {
  const { order, size } = curve;
  const sha = createHash(curve.hash);
  sha.update(message);
  const digest = sha.digest();
  const z = leftmostBits(curve, digest);
  for (const nonce of nonces(curve, key, digest)) {
    const ecdh = createECDH(curve.openssl);
    ecdh.setPrivateKey(nonce);
    // An uncompressed point: 0x04, x, y.
    const r = toInteger(ecdh.getPublicKey().subarray(1, 1 + size)) % order;
    // The inverse takes a time that depends on the number. Multiplied by a random one, that tells nothing of the nonce.
    const blind = randomScalar(curve);
    const inverse = (blind * inverseOf((toInteger(nonce) * blind) % order, order)) % order;
    const s = (inverse * ((z + r * toInteger(key)) % order)) % order;
    if (r === 0n || s === 0n) continue;
    const signature = new Uint8Array(size * 2);
    signature.set(toBytes(r, size));
    signature.set(toBytes(s, size), size);
    return signature;
  }
  throw new TypeError('unreachable: nonces do not end');
}

/** The candidates for the nonce, as RFC 6979, section 3.2, makes them. The first one nearly always fits. */
function* nonces(curve: EcdsaCurve, key: Uint8Array, digest: Uint8Array): Generator<Uint8Array> {
  const { order, size } = curve;
  const hmac = (secret: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array => {
    const code = createHmac(curve.hash, secret);
    for (const part of parts) code.update(part);
    return code.digest();
  };
  const seed = toBytes(leftmostBits(curve, digest) % order, size);
  let v: Uint8Array = new Uint8Array(digest.length).fill(1);
  let k: Uint8Array = new Uint8Array(digest.length);
  for (const step of [0, 1]) {
    k = hmac(k, v, Uint8Array.of(step), key, seed);
    v = hmac(k, v);
  }
  for (;;) {
    const bytes = new Uint8Array(Math.ceil(size / v.length) * v.length);
    for (let at = 0; at < bytes.length; at += v.length) {
      v = hmac(k, v);
      bytes.set(v, at);
    }
    const nonce = toBytes(leftmostBits(curve, bytes), size);
    if (isScalar(curve, nonce)) yield nonce;
    k = hmac(k, v, Uint8Array.of(0));
    v = hmac(k, v);
  }
}

/** The leftmost bits of a string of bytes, as many as the order has (RFC 6979, section 2.3.2). */
function leftmostBits({ order }: EcdsaCurve, bytes: Uint8Array): bigint {
  const surplus = bytes.length * 8 - order.toString(2).length;
  const value = toInteger(bytes);
  return surplus > 0 ? value >> BigInt(surplus) : value;
}

function randomScalar(curve: EcdsaCurve): bigint {
  for (;;) {
    const value = leftmostBits(curve, randomBytes(curve.size));
    if (value > 0n && value < curve.order) return value;
  }
}

/** The inverse, by the extended Euclidean algorithm. `modulus` is prime. */
function inverseOf(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value, modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return ((x % modulus) + modulus) % modulus;
}

function toInteger(bytes: Uint8Array): bigint {
  return bytes.reduce<bigint>((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function toBytes(value: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => Number((value >> BigInt(8 * (size - 1 - at))) & 0xffn));
}
