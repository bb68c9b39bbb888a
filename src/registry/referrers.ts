/**
 * The referrers record of a manifest (its signatures, attestations, SBOMs): an OCI image index of descriptors, written
 * by the publisher (OCI distribution spec 1.1, "Listing Referrers"). It is the body of the unfiltered response.
 */
import type { Descriptor } from './descriptor.ts';
import { parseDigest } from './digest.ts';
import { MEDIA_TYPE_OF_FORM } from './media-type.ts';
import { CorruptRecordError } from './unreadable-record.ts';

/** Encodes the record: descriptors sorted by digest, without duplicates. */
export function encodeReferrers(manifests: readonly Descriptor[]): Uint8Array {
  const byDigest = new Map(manifests.map((descriptor) => [descriptor.digest, descriptor]));
  const sorted = [...byDigest.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  return new TextEncoder().encode(
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE_OF_FORM['oci-index'], manifests: sorted }),
  );
}

/** Reads the record. Throws {@link CorruptRecordError}. */
export function decodeReferrers(body: Uint8Array): Descriptor[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw new CorruptRecordError('the referrers record is not JSON', { cause });
  }
  const manifests = (value as { manifests?: unknown } | null)?.manifests;
  if (!Array.isArray(manifests)) throw new CorruptRecordError('the referrers record has no manifests');
  return manifests.map((item: unknown) => {
    const { mediaType, digest, size } = (item ?? {}) as Record<string, unknown>;
    if (
      typeof mediaType !== 'string' ||
      typeof digest !== 'string' ||
      parseDigest(digest) === null ||
      typeof size !== 'number'
    ) {
      throw new CorruptRecordError('a descriptor of the referrers record has a bad value');
    }
    return item as Descriptor;
  });
}
