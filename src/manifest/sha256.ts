import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { algorithmOf, type Digest } from '../registry/digest.ts';

/** The sha256 digest of some bytes. Synchronous, so that deriving stays pure; for manifests and configs, not for layers. */
export function sha256Of(bytes: Uint8Array): Digest {
  return `sha256:${sha256Hex(bytes)}` as Digest;
}

/** The sha256 of some bytes, in 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}

/** Whether the bytes are what the digest names. */
export function matchesDigest(digest: Digest, bytes: Uint8Array): boolean {
  return digest === (algorithmOf(digest) === 'sha512' ? `sha512:${bytesToHex(sha512(bytes))}` : sha256Of(bytes));
}
