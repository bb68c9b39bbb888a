/** What a publisher records of signatures: the signers that they claim, beside the descriptors. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ImageSource } from '../../src/bucket/image-source.ts';
import { readReferrers } from '../../src/bucket/referrers.ts';
import type { Manifest } from '../../src/manifest/image.ts';
import type { Descriptor } from '../../src/registry/descriptor.ts';
import { type Digest, parseDigest } from '../../src/registry/digest.ts';

const OCI = 'application/vnd.oci.image.manifest.v1+json';

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function digestOf(bytes: Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  if (digest === null) throw new Error('no digest');
  return digest;
}

const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(bytesOf({})), size: 2 };
const image: Manifest = { form: 'oci-manifest', mediaType: OCI, ...withDigest({ config: EMPTY, layers: [] }) };
const BUNDLE = bytesOf({ verificationMaterial: { publicKey: { hint: 'x' } } });

function withDigest(value: object): { bytes: Uint8Array; digest: Digest } {
  const bytes = bytesOf({ schemaVersion: 2, mediaType: OCI, ...value });
  return { bytes, digest: digestOf(bytes) };
}

/** A signature of the image. `layers`: what it contains. `declares`: whether it names its subject itself. */
function signature(layers: readonly object[], declares = true): { bytes: Uint8Array; digest: Digest } {
  const subject = { mediaType: OCI, digest: image.digest, size: image.bytes.length };
  return withDigest({ config: EMPTY, layers, ...(declares && { subject }) });
}

/** A source with one signature, and the bytes that it gives for any blob. */
function sourceOf(manifest: { bytes: Uint8Array; digest: Digest }, blob: () => Promise<Uint8Array>): ImageSource {
  const descriptor = { mediaType: OCI, digest: manifest.digest, size: manifest.bytes.length };
  return {
    roots: [],
    manifest: () => Promise.resolve({ bytes: manifest.bytes, mediaType: OCI }),
    blob: async () => {
      const bytes = await blob();
      return { size: bytes.length, chunks: chunksOf(bytes) };
    },
    referrers: (subject) => Promise.resolve(subject === image.digest ? [descriptor] : []),
    close: () => Promise.resolve(),
  };
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 3);
  await Promise.resolve();
  yield bytes.subarray(3);
}

async function recorded(source: ImageSource): Promise<readonly Descriptor[]> {
  return (await readReferrers(source, [image], true)).records.get(image.digest) ?? [];
}

const bundleLayer = {
  mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  digest: digestOf(BUNDLE),
  size: BUNDLE.length,
};
const BY_KEY = [{ subject: null, issuer: null }];

describe('the record of a signature', () => {
  it.each([true, false])('has the signer of its bundle, whether it declares its subject (%s)', async (declares) => {
    const source = sourceOf(signature([bundleLayer], declares), () => Promise.resolve(BUNDLE));
    expect((await recorded(source)).map(({ signers }) => signers)).toEqual([BY_KEY]);
  });

  it('has the signer of cosign, without a read', async () => {
    const layer = { ...EMPTY, mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json' };
    const source = sourceOf(signature([layer]), () => Promise.reject(new Error('not read')));
    expect((await recorded(source)).map(({ signers }) => signers)).toEqual([BY_KEY]);
  });

  it.each<[string, () => Promise<Uint8Array>]>([
    ['cannot be read', () => Promise.reject(new Error('source is down'))],
    ['is another one', () => Promise.resolve(Uint8Array.from(BUNDLE, (byte) => byte ^ 1))],
    ['is longer', () => Promise.resolve(Buffer.concat([BUNDLE, BUNDLE]))],
    ['is shorter', () => Promise.resolve(BUNDLE.subarray(0, 5))],
  ])('has no signer if its bundle %s', async (_, blob) => {
    const [descriptor] = await recorded(sourceOf(signature([bundleLayer]), blob));
    expect(descriptor).toBeDefined();
    expect(descriptor).not.toHaveProperty('signers');
  });

  it('is that of any other referrer without a signer', async () => {
    const [descriptor] = await recorded(sourceOf(signature([EMPTY]), () => Promise.reject(new Error('not read'))));
    expect(Object.keys(descriptor ?? {}).sort()).toEqual(['artifactType', 'digest', 'mediaType', 'size']);
  });
});
