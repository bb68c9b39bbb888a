/**
 * Who signed, as signatures of cosign and Sigstore bundles claim it. Nothing is verified: a page shows the claims, and
 * `cosign verify` checks them.
 */
import { fromBase64 } from '../../registry/base64.ts';
import type { Descriptor, SignerClaim } from '../../registry/descriptor.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { listOf, objectOf, parseJson, textOf } from '../../registry/values/json.ts';
import { claimsOfCertificate } from './certificate.ts';

/** Media type of a payload that cosign signed; signature and certificate are annotations of its descriptor. */
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** Media types of Sigstore bundles, which are layers. The version follows. */
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle[.+]/;

/** Largest bundle that is read, in bytes: bundles with an SBOM are large, and have the certificate in them. */
export const BUNDLE_MAX = 1024 * 1024;

/** Most signers of one manifest. */
const SIGNERS_MAX = 20;

/** The bundle of a manifest, which has to be read to know the signer. */
export interface BundleLink {
  readonly digest: Digest;
  readonly size: number;
}

/** The signers that a manifest names, and the bundle that names more; nothing if it is no signature. */
export function signersOfManifest(bytes: Uint8Array): {
  readonly signers: readonly SignerClaim[];
  readonly bundle: BundleLink | null;
} {
  const layers = listOf(objectOf(parseJson(bytes)).layers).map(objectOf);
  const signed = layers.filter(({ mediaType }) => mediaType === SIMPLE_SIGNING);
  const signers = signed.slice(0, SIGNERS_MAX).map(({ annotations }): SignerClaim => {
    const pem = objectOf(annotations)['dev.sigstore.cosign/certificate'];
    return (typeof pem === 'string' ? claimsOfPem(pem) : null) ?? BY_KEY;
  });
  const { digest, size } =
    layers.find(({ mediaType }) => typeof mediaType === 'string' && BUNDLE.test(mediaType)) ?? {};
  const parsed = typeof digest === 'string' ? parseDigest(digest) : null;
  const isReadable = typeof size === 'number' && size >= 0 && size <= BUNDLE_MAX;
  return { signers, bundle: parsed === null || !isReadable ? null : { digest: parsed, size } };
}

/** The signers of a Sigstore bundle (protobuf-specs, "Bundle"); none if it is not one. */
export function signersOfBundle(bytes: Uint8Array): readonly SignerClaim[] {
  const material = objectOf(objectOf(parseJson(bytes)).verificationMaterial);
  const chain = listOf(objectOf(material.x509CertificateChain).certificates);
  const { rawBytes } = objectOf(material.certificate ?? chain[0]);
  if (typeof rawBytes === 'string') {
    const der = fromBase64(rawBytes);
    return [(der === null ? null : claimsOfCertificate(der)) ?? BY_KEY];
  }
  return material.publicKey === undefined ? [] : [BY_KEY];
}

/** The claims that a descriptor of a referrers record carries; invalid ones are left out. */
export function signersOfDescriptor({ signers }: Descriptor): readonly SignerClaim[] {
  return listOf(signers)
    .slice(0, SIGNERS_MAX)
    .map(objectOf)
    .map(({ subject, issuer }) => ({ subject: claimOf(subject), issuer: claimOf(issuer) }));
}

/** A signature without a certificate: a key made it, whose name is not in it. */
const BY_KEY: SignerClaim = { subject: null, issuer: null };

function claimsOfPem(pem: string): SignerClaim | null {
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(pem)?.[1];
  const der = body === undefined ? null : fromBase64(body.replace(/\s+/g, ''));
  return der === null ? null : claimsOfCertificate(der);
}

function claimOf(value: unknown): string | null {
  return textOf(value)?.slice(0, 400) ?? null;
}
