/** Who signed, as cosign's signatures and Sigstore bundles claim it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimsOfCertificate } from '../../src/manifest/signers/certificate.ts';
import { signersOfBundle, signersOfDescriptor, signersOfManifest } from '../../src/manifest/signers/signers.ts';

// Made with OpenSSL 3, with the extensions that Fulcio documents (oid-info.md).
const WORKFLOW = `-----BEGIN CERTIFICATE-----
MIICbDCCAhKgAwIBAgIUYNSGn9/WBH7rJqHUbaFB3djjTRcwCgYIKoZIzj0EAwIw
OzEZMBcGA1UECgwQc2lnc3RvcmUuZXhhbXBsZTEeMBwGA1UEAwwVc2lnc3RvcmUt
aW50ZXJtZWRpYXRlMB4XDTI2MTEyODEzMTczM1oXDTI2MTEyOTEzMTczM1owOzEZ
MBcGA1UECgwQc2lnc3RvcmUuZXhhbXBsZTEeMBwGA1UEAwwVc2lnc3RvcmUtaW50
ZXJtZWRpYXRlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEParWhE5RKZy4+ZDS
e+apdGSsGmR+cNaZucpPuGtNfIyq6nBcdYYNseTKnQcwO9zbAqNeM5lFNKTrmtHD
4UODXKOB8zCB8DAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwMw
VAYDVR0RAQH/BEowSIZGaHR0cHM6Ly9naXRodWIuY29tL3RlYW0vYXBwLy5naXRo
dWIvd29ya2Zsb3dzL3JlbGVhc2UueW1sQHJlZnMvdGFncy92MjAXBgorBgEEAYO/
MAEBBAkMB2lnbm9yZWQwOwYKKwYBBAGDvzABCAQtDCtodHRwczovL3Rva2VuLmFj
dGlvbnMuZ2l0aHVidXNlcmNvbnRlbnQuY29tMB0GA1UdDgQWBBTpzsEolHGVZ+oi
utBmoBUtCELnMzAKBggqhkjOPQQDAgNIADBFAiEAgriluwLyeTGPd/Zpx1EFfa0J
ys0SlCDvgU345ZC5l18CIA56Wv8TmUPEK5owuC+Ys23YdLwCA82asGY/gVgBNt+D
-----END CERTIFICATE-----
`;
const EMAIL = `-----BEGIN CERTIFICATE-----
MIIB4jCCAYigAwIBAgIUSVzyb4YdNuKyKgRPmh590TjpvE4wCgYIKoZIzj0EAwIw
OzEZMBcGA1UECgwQc2lnc3RvcmUuZXhhbXBsZTEeMBwGA1UEAwwVc2lnc3RvcmUt
aW50ZXJtZWRpYXRlMB4XDTI2MTEyODEzMTczNFoXDTI2MTEyOTEzMTczNFowOzEZ
MBcGA1UECgwQc2lnc3RvcmUuZXhhbXBsZTEeMBwGA1UEAwwVc2lnc3RvcmUtaW50
ZXJtZWRpYXRlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEParWhE5RKZy4+ZDS
e+apdGSsGmR+cNaZucpPuGtNfIyq6nBcdYYNseTKnQcwO9zbAqNeM5lFNKTrmtHD
4UODXKNqMGgwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMDMCIG
A1UdEQEB/wQYMBaBFGJ1aWxkZXJAdGVhbS5leGFtcGxlMB0GA1UdDgQWBBTpzsEo
lHGVZ+oiutBmoBUtCELnMzAKBggqhkjOPQQDAgNIADBFAiEAgW/fh1ET93igLKqv
b9w0H3nAtpjvgRAxZwloQTtBc0ECIAqKY3Tho4t29zv5ISSKmT8y1Htlv+ViDMjJ
6edOmAZL
-----END CERTIFICATE-----
`;
/** Version 1 of X.509, without extensions. */
const PLAIN = `-----BEGIN CERTIFICATE-----
MIIBJzCBzQIUQ4mQam7lX29xeIR7Ei+MxBg8mT4wCgYIKoZIzj0EAwIwFjEUMBIG
A1UEAwwLQnVpbGQgUm9ib3QwHhcNMjYxMTI4MTMxNzM0WhcNMjYxMTI5MTMxNzM0
WjAWMRQwEgYDVQQDDAtCdWlsZCBSb2JvdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABD2q1oROUSmcuPmQ0nvmqXRkrBpkfnDWmbnKT7hrTXyMqupwXHWGDbHkyp0H
MDvc2wKjXjOZRTSk65rRw+FDg1wwCgYIKoZIzj0EAwIDSQAwRgIhAKN/Q05zoTWd
9yDwUoRATrOFvKi45eak8rQiZcfFa47UAiEA/96CrKhlJry/U8Inh9CT3+jbCeCy
Q15zJG55niyYuAc=
-----END CERTIFICATE-----
`;

const CLAIMS = [
  [
    'Fulcio, of a workflow',
    WORKFLOW,
    'https://github.com/team/app/.github/workflows/release.yml@refs/tags/v2',
    'https://token.actions.githubusercontent.com',
  ],
  ['an address, without an extension for the issuer', EMAIL, 'builder@team.example', 'sigstore-intermediate'],
  ['a common name alone', PLAIN, 'Build Robot', 'Build Robot'],
] as const;

const DIGEST = `sha256:${'a'.repeat(64)}`;

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

describe('the claims of a certificate', () => {
  it.each(CLAIMS)('of %s', (_, pem, subject, issuer) => {
    expect(claimsOfCertificate(derOf(pem))).toEqual({ subject, issuer });
  });

  it('are none, without an error, of anything cut off or changed', () => {
    const whole = derOf(WORKFLOW);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        expect(() => claimsOfCertificate(whole.subarray(0, at))).not.toThrow();
        const changed = Uint8Array.from(whole);
        changed[at] = byte;
        expect(() => claimsOfCertificate(changed)).not.toThrow();
      }),
    );
    expect(claimsOfCertificate(whole.subarray(0, 40))).toBeNull();
  });
});

describe('the signers of a manifest', () => {
  const mediaType = 'application/vnd.dev.cosign.simplesigning.v1+json';

  it.each(CLAIMS)('are in the certificate that cosign adds to a signature: %s', (_, pem, subject, issuer) => {
    const annotations = { 'dev.sigstore.cosign/certificate': pem };
    const bytes = json({ layers: [{ mediaType, digest: DIGEST, size: 1, annotations }] });
    expect(signersOfManifest(bytes)).toEqual({ signers: [{ subject, issuer }], bundle: null });
  });

  it('are a key without a name, if there is no certificate', () => {
    const bytes = json({ layers: [{ mediaType, digest: DIGEST, size: 1 }] });
    expect(signersOfManifest(bytes).signers).toEqual([{ subject: null, issuer: null }]);
  });

  it('are in the bundle, which is named if it is not too large', () => {
    const layer = (size: number): Uint8Array =>
      json({ layers: [{ mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json', digest: DIGEST, size }] });
    expect(signersOfManifest(layer(10))).toEqual({ signers: [], bundle: { digest: DIGEST, size: 10 } });
    expect(signersOfManifest(layer(10_000_000)).bundle).toBeNull();
  });

  it('are none of an image, or of what is no manifest', () => {
    const nothing = { signers: [], bundle: null };
    expect(signersOfManifest(json({ layers: [{ mediaType: 'application/octet-stream', digest: DIGEST }] }))).toEqual(
      nothing,
    );
    expect(signersOfManifest(json([null, 1]))).toEqual(nothing);
    expect(signersOfManifest(new Uint8Array([1, 2]))).toEqual(nothing);
  });
});

describe('the signers of a bundle', () => {
  it.each(CLAIMS)('are in its certificate: %s', (_, pem, subject, issuer) => {
    const certificate = { rawBytes: derOf(pem).toString('base64') };
    expect(signersOfBundle(json({ verificationMaterial: { certificate } }))).toEqual([{ subject, issuer }]);
    const chain = { x509CertificateChain: { certificates: [certificate] } };
    expect(signersOfBundle(json({ verificationMaterial: chain }))).toEqual([{ subject, issuer }]);
  });

  it('are a key without a name, or none', () => {
    expect(signersOfBundle(json({ verificationMaterial: { publicKey: { hint: 'x' } } }))).toEqual([
      { subject: null, issuer: null },
    ]);
    expect(signersOfBundle(json({}))).toEqual([]);
  });
});

it('the signers of a descriptor are read with care: an upstream may say anything', () => {
  const descriptor = {
    mediaType: 'x',
    digest: DIGEST,
    size: 1,
    signers: [{ subject: 'a'.repeat(1_000), issuer: 7 }, null],
  };
  expect(signersOfDescriptor(descriptor as never)).toEqual([
    { subject: 'a'.repeat(400), issuer: null },
    { subject: null, issuer: null },
  ]);
  expect(signersOfDescriptor({ ...descriptor, signers: 'x' } as never)).toEqual([]);
});
