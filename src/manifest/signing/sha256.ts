import { hash } from 'node:crypto';
import { algorithmOf, type Digest, digestOf, hexOf } from '../../registry/digest.ts';

/** The sha256 digest of some bytes. Synchronous, so that `derive` stays pure; for manifests and configs, not layers. */
export function sha256Of(bytes: Uint8Array): Digest {
  return digestOf('sha256', sha256Hex(bytes));
}

/** The sha256 of some bytes, in 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** Whether the digest is that of the bytes. */
export function matchesDigest(digest: Digest, bytes: Uint8Array): boolean {
  return hexOf(digest) === hash(algorithmOf(digest), bytes, 'hex');
}
