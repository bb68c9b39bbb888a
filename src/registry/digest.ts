declare const brand: unique symbol;

/**
 * A content digest in canonical text: `sha256:<64 hex>` or `sha512:<128 hex>`, lower case. Only this module makes one.
 */
export type Digest = string & { readonly [brand]: 'Digest' };

/** The registered algorithms (OCI image spec, descriptor.md, "Registered algorithms") that Gantry serves. */
export type DigestAlgorithm = 'sha256' | 'sha512';

/** Hex digits of each algorithm's digest. */
export const DIGEST_HEX_LENGTH = { sha256: 64, sha512: 128 } as const satisfies Record<DigestAlgorithm, number>;

const REGISTERED = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Reads a digest; null if it is not a well-formed sha256 or sha512 digest in lower case. */
export function parseDigest(text: string): Digest | null {
  return REGISTERED.test(text) ? (text as Digest) : null;
}

/** The digest with this hash. Throws a `RangeError` if the hash is not lower-case hex of the algorithm's length. */
export function digestOf(algorithm: DigestAlgorithm, hex: string): Digest {
  const digest = parseDigest(`${algorithm}:${hex}`);
  if (digest === null) throw new RangeError(`not a ${algorithm} hash in hex: ${JSON.stringify(hex)}`);
  return digest;
}

/** The algorithm part of a digest. */
export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hex part of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}
