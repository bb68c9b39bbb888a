/** Reads what refers to a manifest: signatures, SBOMs, provenance. One read. */
import { readObject } from '../../../bucket/read-object.ts';
import { signersOfDescriptor } from '../../../manifest/signers/signers.ts';
import type { Descriptor, SignerClaim } from '../../../registry/descriptor.ts';
import { type Digest, parseDigest } from '../../../registry/digest.ts';
import { referrersKey } from '../../../registry/keys.ts';
import { decodeReferrers } from '../../../registry/referrers.ts';
import type { ChildView } from './image-view.ts';
import { objectOf, textOf } from '../../../registry/values/json.ts';
import type { PagePlace } from './read-tag.ts';
import { CorruptRecordError } from '../../../registry/unreadable-record.ts';

/** Something that refers to a manifest. */
export interface ReferrerView {
  /** In a word or two: `Signature`, `SBOM` … */
  readonly kind: string;
  /** The artifact type, or the media type without one. */
  readonly type: string;
  readonly digest: Digest;
  readonly size: number | null;
  /** When it was made, as it claims. */
  readonly created: string | null;
  readonly signers: readonly SignerClaim[];
}

/** Reads the referrers of a manifest; empty if there are none. Throws `StorageError`. */
export async function readReferrerViews({ store, name }: PagePlace, subject: Digest): Promise<readonly ReferrerView[]> {
  const object = await readObject(store, referrersKey(name, subject));
  if (object === null) return [];
  try {
    return decodeReferrers(object.bytes).flatMap(referrerView);
  } catch (error) {
    if (error instanceof CorruptRecordError) return [];
    throw error;
  }
}

/** The attestations in a list (BuildKit) as referrers. `about`: only those of that image; null: all. */
export function attestationsIn(children: readonly ChildView[], about: Digest | null): readonly ReferrerView[] {
  return children
    .filter((child) => child.platform === null && child.about !== null && (about === null || child.about === about))
    .map(({ digest, size, mediaType }) => ({
      kind: 'Attestation',
      type: `${mediaType ?? 'a manifest'}, in the list`,
      digest,
      size,
      created: null,
      signers: [],
    }));
}

function referrerView(descriptor: Descriptor): readonly ReferrerView[] {
  const digest = parseDigest(descriptor.digest);
  if (digest === null) return [];
  const annotations = objectOf(descriptor.annotations);
  const type = textOf(descriptor.artifactType) ?? descriptor.mediaType;
  return [
    {
      kind: kindOf(`${type} ${textOf(annotations['dev.sigstore.bundle.predicateType']) ?? ''}`),
      type,
      digest,
      size: descriptor.size,
      created: textOf(annotations['org.opencontainers.image.created']),
      signers: signersOfDescriptor(descriptor),
    },
  ];
}

/** Words of artifact and predicate types; the first that occurs counts. */
const KINDS = [
  [/spdx|cyclonedx|syft|sbom/i, 'SBOM'],
  [/slsa|provenance/i, 'Provenance'],
  [/vex|vuln|sarif/i, 'Vulnerability report'],
  [/in-toto|attestation/i, 'Attestation'],
  [/cosign|sigstore|notary|signature/i, 'Signature'],
] as const;

function kindOf(types: string): string {
  return KINDS.find(([pattern]) => pattern.test(types))?.[1] ?? 'Artifact';
}
