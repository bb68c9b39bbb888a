/**
 * Images with signatures as cosign writes them (sigstore/cosign, SIGNATURE_SPEC.md and BUNDLE_SPEC.md), made with
 * node:crypto: an independent second opinion is test/interop/cosign.test.ts, with the real program.
 */
import { createHash, type KeyObject, sign } from 'node:crypto';
import type { Descriptor } from '../../../src/registry/descriptor.ts';
import { type Digest, hexOf } from '../../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { parseTag } from '../../../src/registry/name.ts';
import type { ImageSource } from '../../../src/bucket/image-source.ts';
import { digestOf } from '../gc-bucket.ts';

const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
export const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** A signature's blob and its annotations. */
export interface Signature {
  readonly mediaType: string;
  readonly blob: Buffer;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The document that cosign signs. */
export function payloadOf(digest: string, type = 'cosign container image signature'): Buffer {
  return encode({
    critical: { identity: { 'docker-reference': 'a/b' }, image: { 'docker-manifest-digest': digest }, type },
    optional: null,
  });
}

/** A simple-signing signature with a key. */
export function simpleSigning(key: KeyObject, payload: Buffer, more: Readonly<Record<string, string>> = {}): Signature {
  const signature = sign('sha256', payload, key).toString('base64');
  return {
    mediaType: SIMPLE_SIGNING,
    blob: payload,
    annotations: { 'dev.cosignproject.cosign/signature': signature, ...more },
  };
}

/** A sigstore bundle with a signed in-toto statement. */
export function bundleOf(key: KeyObject, digest: Digest, predicateType = SIGN_PREDICATE): Signature {
  const payloadType = 'application/vnd.in-toto+json';
  const payload = encode({
    _type: 'https://in-toto.io/Statement/v1',
    predicateType,
    subject: [{ digest: { sha256: hexOf(digest) } }],
    predicate: {},
  });
  // DSSE's pre-authentication encoding.
  const head = `DSSEv1 ${String(payloadType.length)} ${payloadType} ${String(payload.length)} `;
  const sig = sign('sha256', Buffer.concat([Buffer.from(head), payload]), key).toString('base64');
  return {
    mediaType: BUNDLE,
    blob: encode({
      mediaType: BUNDLE,
      verificationMaterial: { publicKey: { hint: 'anything' } },
      dsseEnvelope: { payload: payload.toString('base64'), payloadType, signatures: [{ sig }] },
    }),
  };
}

/** An image in memory, signed in the places given. */
export function signedImage(places: {
  readonly tag?: readonly Signature[];
  readonly referrers?: readonly Signature[];
}): { readonly source: ImageSource; readonly digest: Digest; readonly manifest: Buffer } {
  const manifest = encode({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'],
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: IMAGE_CONFIG, size: 2 },
    layers: [],
  });
  const digest = digestOf(manifest);
  const blobs = new Map<Digest, Buffer>();
  const manifests = new Map<Digest, Buffer>();
  const manifestOf = (signatures: readonly Signature[]): Buffer => {
    const layers = signatures.map(({ mediaType, blob, annotations }) => {
      blobs.set(digestOf(blob), blob);
      return { mediaType, digest: digestOf(blob), size: blob.length, annotations };
    });
    return encode({ schemaVersion: 2, mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'], layers });
  };
  const descriptors: Descriptor[] = (places.referrers ?? []).map((signature) => {
    const bytes = manifestOf([signature]);
    manifests.set(digestOf(bytes), bytes);
    return { mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'], digest: digestOf(bytes), size: bytes.length };
  });
  const imageOf = (bytes: Buffer): ImageSource => ({
    roots: [{ bytes }],
    manifest: (one) => Promise.resolve(mapped(manifests.get(one), (found) => ({ bytes: found }))),
    blob: (one) =>
      Promise.resolve(
        mapped(blobs.get(one), (found) => ({
          size: found.length,
          chunks: (async function* () {
            yield await Promise.resolve(found);
          })(),
        })),
      ),
    referrers: (subject) => Promise.resolve(subject === digest ? descriptors : []),
    close: () => Promise.resolve(),
  });
  const tag = parseTag(`sha256-${hexOf(digest)}.sig`);
  const source: ImageSource = {
    ...imageOf(manifest),
    companions: (subject) =>
      Promise.resolve(
        subject === digest && tag !== null && places.tag !== undefined
          ? [{ tag, image: imageOf(manifestOf(places.tag)) }]
          : [],
      ),
  };
  return { source, digest, manifest };
}

const IMAGE_CONFIG: Digest = digestOf(Buffer.from('{}'));

function mapped<T, R>(value: T | undefined, map: (value: T) => R): R | null {
  return value === undefined ? null : map(value);
}

/** sha256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
