/** RSASSA-PKCS1-v1_5 (RFC 8017 §8.2), synchronous: only for schema 1 manifests that others signed with RSA, and for those who bring an RSA key of their registry. */
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';

/** JOSE name → hash and the DER prefix of its DigestInfo. */
const HASHES = {
  RS256: { hash: sha256, prefix: '3031300d060960864801650304020105000420' },
  RS384: { hash: sha384, prefix: '3041300d060960864801650304020205000430' },
  RS512: { hash: sha512, prefix: '3051300d060960864801650304020305000440' },
} as const;

/** An RSA algorithm of JOSE. */
export type RsaAlgorithm = keyof typeof HASHES;

/** Whether the text names one. */
export function isRsaAlgorithm(text: string): text is RsaAlgorithm {
  return Object.hasOwn(HASHES, text);
}

/** Whether the signature is the message's. All numbers big-endian. */
export function verifyRsa(
  algorithm: RsaAlgorithm,
  key: { readonly n: Uint8Array; readonly e: Uint8Array },
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const n = toInteger(key.n);
  const s = toInteger(signature);
  const size = key.n.length;
  // Below 1024 bits nothing that deserves the name is signed; above 8192 verification would be a way to keep us busy.
  if (signature.length !== size || size < 128 || size > 1024 || s >= n) return false;
  const expected = encode(algorithm, message, size);
  return expected !== null && power(s, toInteger(key.e), n) === toInteger(expected);
}

/** Signs a message; the signature has the modulus' length. */
export function signRsa(
  algorithm: RsaAlgorithm,
  key: { readonly n: Uint8Array; readonly d: Uint8Array },
  message: Uint8Array,
): Uint8Array {
  const size = key.n.length;
  const encoded = encode(algorithm, message, size);
  if (encoded === null) throw new RangeError('the RSA key is too short');
  return toBytes(power(toInteger(encoded), toInteger(key.d), toInteger(key.n)), size);
}

/** EMSA-PKCS1-v1_5: 00 01 ff… 00 DigestInfo. Null if the key is too short for it. */
function encode(algorithm: RsaAlgorithm, message: Uint8Array, size: number): Uint8Array | null {
  const { hash, prefix } = HASHES[algorithm];
  const info = Uint8Array.of(...hexToBytes(prefix), ...hash(message));
  if (info.length + 11 > size) return null;
  const encoded = new Uint8Array(size).fill(0xff);
  encoded[0] = 0;
  encoded[1] = 1;
  encoded[size - info.length - 1] = 0;
  encoded.set(info, size - info.length);
  return encoded;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let factor = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % modulus;
    factor = (factor * factor) % modulus;
  }
  return result;
}

function toInteger(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytesToHex(bytes)}`);
}

function toBytes(value: bigint, size: number): Uint8Array {
  return hexToBytes(value.toString(16).padStart(size * 2, '0'));
}
