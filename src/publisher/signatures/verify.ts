/** Verifies that an image is signed as a policy demands, before anything of it is written. */
import { createHash } from 'node:crypto';
import { type Bundle, bundleFromJSON, toMessageSignatureBundle, ValidationError } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import {
  PolicyError,
  type SignedEntity,
  toSignedEntity,
  toTrustMaterial,
  VerificationError,
  Verifier,
} from '@sigstore/verify';
import { readManifest } from '../../manifest/read.ts';
import type { Digest } from '../../registry/digest.ts';
import { listOf, objectOf } from '../../registry/values/json.ts';
import { CommandError } from '../cli/errors.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
import { findSignatures, type FoundSignature } from './cosign.ts';
import type { SignaturePolicy, TrustedSigner } from './policy.ts';

/** The type of cosign's payload, and of the statement in its bundles. */
const PAYLOAD_TYPE = 'cosign container image signature';
const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

/** The most reasons in one message. */
const MAX_REASONS = 5;

/** cosign's annotations of a signature. */
const ANNOTATION = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  log: 'dev.sigstore.cosign/bundle',
} as const;

/**
 * Verifies every manifest under the tag: another form of the image (Pulp 2's) has a digest of its own, so it needs its
 * own signature. Returns who signed. Throws {@link CommandError} with the reasons.
 */
export async function requireSignatures(
  source: ImageSource,
  policy: SignaturePolicy,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const signers: string[] = [];
  for (const root of source.roots) signers.push(await requireSignature(source, digestOf(root.bytes), policy, signal));
  return signers;
}

function digestOf(bytes: Uint8Array): Digest {
  try {
    return readManifest(bytes).digest;
  } catch (cause) {
    throw new CommandError('the source has no valid manifest, so no signature can be for it', { cause });
  }
}

async function requireSignature(
  source: ImageSource,
  digest: Digest,
  policy: SignaturePolicy,
  signal: AbortSignal | undefined,
): Promise<string> {
  const reasons = new Set<string>();
  const found = await findSignatures(source, digest, (why) => reasons.add(why), signal);
  if (found.length === 0 && reasons.size === 0) {
    throw new CommandError(`${digest} is not signed, so it is refused`, {
      hint: 'Sign it with cosign. Signatures are found in registries (docker://) and in OCI layouts (oci:).',
    });
  }
  for (const signature of found) {
    for (const signer of policy) {
      const why = whyNot(signature, digest, signer);
      if (why === null) return signer.title;
      reasons.add(`${signer.title}: ${why}`);
    }
  }
  const why = [...reasons].slice(0, MAX_REASONS).join('; ');
  throw new CommandError(`${digest} has no signature that the policy accepts, so it is refused: ${why}`, {
    hint: 'Sign the image with a key or identity of the policy, or add its signer to the policy.',
  });
}

/** Why a signature is not one of `signer` for the digest; null if it is. */
function whyNot(signature: FoundSignature, digest: Digest, signer: TrustedSigner): string | null {
  try {
    const signed = signature.kind === 'bundle' ? readBundle(signature.json) : readSimpleSigning(signature, signer);
    verifySigner(signed.entity, signer);
    // Only authenticated data is read.
    const found = signed.digests();
    return found.includes(digest) ? null : `the signature is for ${found.join(', ') || 'no manifest'}`;
  } catch (error) {
    if (
      error instanceof VerificationError ||
      error instanceof PolicyError ||
      error instanceof ValidationError ||
      error instanceof UnreadableSignature
    )
      return error.message;
    // The library's parsers throw plain errors for damaged certificates and timestamps.
    if (error instanceof Error && !(error instanceof ReferenceError)) return `it cannot be read: ${error.message}`;
    throw error;
  }
}

class UnreadableSignature extends Error {
  override readonly name = 'UnreadableSignature';
}

interface Signed {
  readonly entity: SignedEntity;
  /** The digests that were signed. Call it after the verification. */
  readonly digests: () => readonly string[];
}

function readSimpleSigning(
  { payload, annotations }: Extract<FoundSignature, { kind: 'simple-signing' }>,
  signer: TrustedSigner,
): Signed {
  const signature = Buffer.from(annotations[ANNOTATION.signature] ?? '', 'base64');
  if (signature.length === 0) throw new UnreadableSignature('the signature is missing');
  const artifact = Buffer.from(payload);
  const digest = createHash('sha256').update(artifact).digest();
  const bundle: Bundle =
    signer.kind === 'key'
      ? toMessageSignatureBundle({ digest, signature, keyHint: '' })
      : withCertificate(digest, signature, annotations);
  return { entity: toSignedEntity(bundle, artifact), digests: () => digestsOfPayload(payload) };
}

/** cosign's annotations as a sigstore bundle of version 0.1. */
function withCertificate(digest: Buffer, signature: Buffer, annotations: Readonly<Record<string, string>>): Bundle {
  const pem = annotations[ANNOTATION.certificate];
  if (pem === undefined) throw new UnreadableSignature('it was made with a key, and has no certificate');
  const rawBytes = pem.replace(/-----[^-]+-----|\s/g, '');
  const log = annotations[ANNOTATION.log];
  return bundleFromJSON({
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      x509CertificateChain: { certificates: [{ rawBytes }] },
      tlogEntries: log === undefined ? [] : [logEntry(log)],
    },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: digest.toString('base64') },
      signature: signature.toString('base64'),
    },
  });
}

/** cosign's record of an entry in the transparency log (`RekorBundle`). */
function logEntry(text: string): object {
  const { SignedEntryTimestamp: signedEntryTimestamp, Payload } = objectOf(JSON.parse(text));
  const { body, integratedTime, logIndex, logID } = objectOf(Payload);
  if (typeof body !== 'string' || typeof logID !== 'string' || typeof signedEntryTimestamp !== 'string')
    throw new UnreadableSignature('its log entry is damaged');
  const { kind, apiVersion } = objectOf(JSON.parse(Buffer.from(body, 'base64').toString()));
  return {
    logIndex: String(logIndex),
    logId: { keyId: Buffer.from(logID, 'hex').toString('base64') },
    kindVersion: { kind, version: apiVersion },
    integratedTime: String(integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    canonicalizedBody: body,
  };
}

function digestsOfPayload(payload: Uint8Array): readonly string[] {
  const { type, image } = objectOf(objectOf(JSON.parse(new TextDecoder().decode(payload))).critical);
  if (type !== PAYLOAD_TYPE) throw new UnreadableSignature('what was signed is not an image');
  const digest = objectOf(image)['docker-manifest-digest'];
  return typeof digest === 'string' ? [digest] : [];
}

function readBundle(json: unknown): Signed {
  const bundle = bundleFromJSON(json);
  if (bundle.content.$case !== 'dsseEnvelope') throw new UnreadableSignature('its bundle has no statement');
  const { payload, payloadType } = bundle.content.dsseEnvelope;
  return {
    entity: toSignedEntity(bundle),
    digests: () => {
      if (payloadType !== 'application/vnd.in-toto+json')
        throw new UnreadableSignature('its statement is of another type');
      const { predicateType, subject } = objectOf(JSON.parse(payload.toString()));
      // An attestation says something about an image, e.g. that it failed its tests.
      if (predicateType !== SIGN_PREDICATE) throw new UnreadableSignature('it is an attestation, not a signature');
      return listOf(subject).flatMap((one) =>
        Object.entries(objectOf(objectOf(one).digest)).map(([algorithm, hex]) => `${algorithm}:${String(hex)}`),
      );
    },
  };
}

/** Throws {@link VerificationError} or {@link PolicyError}. */
function verifySigner(entity: SignedEntity, signer: TrustedSigner): void {
  if (signer.kind === 'key') {
    if (entity.key.$case !== 'public-key') throw new UnreadableSignature('it was made with a certificate, not a key');
    const { key } = signer;
    const material = toTrustMaterial(TrustedRoot.fromJSON({}), () => ({ publicKey: key, validFor: () => true }));
    // A key is valid at any time, so neither a log nor a timestamp is needed, and both can be checked offline only.
    new Verifier(material, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 }).verify({
      ...entity,
      tlogEntries: [],
      timestamps: [],
    });
    return;
  }
  const { root, issuer, identity } = signer;
  const material = toTrustMaterial(root);
  // What the trusted root lists is required.
  const verifier = new Verifier(material, {
    tlogThreshold: root.tlogs.length > 0 ? 1 : 0,
    ctlogThreshold: root.ctlogs.length > 0 ? 1 : 0,
    timestampThreshold: 1,
  });
  if (entity.key.$case !== 'certificate')
    throw new UnreadableSignature('it was made with a key, and has no certificate');
  verifier.verify(entity, {
    // The library takes a regular expression.
    subjectAlternativeName: `^${identity.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')}$`,
    extensions: { issuer },
  });
}
