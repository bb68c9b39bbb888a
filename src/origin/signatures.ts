/**
 * Atomic ("simple signing") signatures of manifests, as the registry extension of containers/image passes them on
 * (containers/image, "Signature access protocols"; Pulp 3 and OpenShift have it): `GET
 * /extensions/v2/<name>/signatures/<digest>`. A registry that has it announces it by the response header
 * `X-Registry-Supports-Signatures: 1`.
 */
import type { Digest } from '../registry/digest.ts';
import { objectOf } from '../registry/values/json.ts';
import { OriginError } from './errors.ts';

/** One signature of a manifest. */
export interface AtomicSignature {
  readonly schemaVersion: 2;
  readonly type: 'atomic';
  /** `<digest of the manifest>@<32 hexadecimal digits>`. */
  readonly name: string;
  /** An OpenPGP message in base64. */
  readonly content: string;
}

/** Most signatures of one manifest, and most bytes of their document: containers/image reads 4 MiB. */
export const SIGNATURE_LIMITS = { count: 128, bytes: 4 * 1024 * 1024 } as const;

/** A document of signatures that cannot be used. */
export class SignaturesError extends Error {
  override readonly name = 'SignaturesError';
}

/** Encodes the document, which is also the record in the bucket. */
export function encodeSignatures(signatures: readonly AtomicSignature[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ signatures }));
}

/** Reads the document. Entries of other kinds or for other manifests are left out. Throws {@link SignaturesError}. */
export function decodeSignatures(bytes: Uint8Array, subject: Digest): readonly AtomicSignature[] {
  if (bytes.length > SIGNATURE_LIMITS.bytes)
    throw new SignaturesError(`the signatures have more than ${String(SIGNATURE_LIMITS.bytes)} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new SignaturesError('the signatures are not JSON', { cause });
  }
  const { signatures } = objectOf(value);
  if (!Array.isArray(signatures)) throw new SignaturesError('the document has no signatures');
  if (signatures.length > SIGNATURE_LIMITS.count)
    throw new SignaturesError(`the manifest has more than ${String(SIGNATURE_LIMITS.count)} signatures`);
  return signatures.flatMap((item: unknown) => {
    const { schemaVersion, type, name, content } = objectOf(item);
    const isKnown = schemaVersion === 2 && type === 'atomic' && typeof name === 'string' && typeof content === 'string';
    if (!isKnown || !name.startsWith(`${subject}@`) || !BASE64.test(content)) return [];
    return [{ schemaVersion, type, name, content }];
  });
}

/** Reads the document of an upstream. Throws {@link OriginError}. */
export function readSignatures(bytes: Uint8Array, subject: Digest, where: string): readonly AtomicSignature[] {
  try {
    return decodeSignatures(bytes, subject);
  } catch (cause) {
    if (!(cause instanceof SignaturesError)) throw cause;
    throw new OriginError('ORIGIN_PROTOCOL', `${where}: ${cause.message}`, { cause });
  }
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
