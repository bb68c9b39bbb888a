/**
 * Finds cosign's signatures of a manifest in a source (sigstore/cosign, SIGNATURE_SPEC.md): in the tag
 * `sha256-<hex>.sig`, and among the OCI 1.1 referrers, as simple-signing payloads or as sigstore bundles. Nothing here
 * is verified.
 */
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { listOf, objectOf, parseJson } from '../../registry/values/json.ts';
import { CommandError } from '../cli/errors.ts';
import { ImageError, type ImageSource } from '../../bucket/image-source.ts';
import { readSmallBlob } from '../../bucket/read-image.ts';

/** A signature as it was found. */
export type FoundSignature =
  | {
      readonly kind: 'simple-signing';
      /** The signed document, which names the manifest's digest. */
      readonly payload: Uint8Array;
      /** The annotations of the layer: signature, certificate, log entry. */
      readonly annotations: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'bundle'; readonly json: unknown };

const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v\d\.\d\+json|\+json;version=\d\.\d)$/;

/** Guards against malicious input: the most manifests and signatures that are read, and the most bytes of one. */
const LIMITS = { manifests: 100, signatures: 100, bytes: 1024 * 1024 } as const;

/** Finds the signatures of a manifest. Damaged ones are left out, and `onDamaged` gets the reason. */
export async function findSignatures(
  source: ImageSource,
  digest: Digest,
  onDamaged: (why: string) => void,
  signal?: AbortSignal,
): Promise<readonly FoundSignature[]> {
  const found: FoundSignature[] = [];
  let manifests = 0;
  const read = async (image: ImageSource, bytes: Uint8Array): Promise<void> => {
    manifests += 1;
    for (const layer of layersOf(bytes)) {
      if (found.length >= LIMITS.signatures || (layer.mediaType !== SIMPLE_SIGNING && !BUNDLE.test(layer.mediaType)))
        continue;
      signal?.throwIfAborted();
      try {
        const expected = { digest: layer.digest, role: 'signature', size: layer.size, limit: LIMITS.bytes };
        const payload = await readSmallBlob(image, expected, signal);
        if (payload === null) throw new ImageError(`the source lacks the signature ${layer.digest}`);
        if (layer.mediaType === SIMPLE_SIGNING)
          found.push({ kind: 'simple-signing', payload, annotations: layer.annotations });
        else found.push({ kind: 'bundle', json: JSON.parse(new TextDecoder().decode(payload)) });
      } catch (error) {
        if (!(error instanceof ImageError) && !(error instanceof CommandError) && !(error instanceof SyntaxError))
          throw error;
        onDamaged(error.message);
      }
    }
  };
  for (const { tag, image } of (await source.companions?.(digest)) ?? []) {
    if (!tag.endsWith('.sig')) continue;
    for (const root of image.roots) if (manifests < LIMITS.manifests) await read(image, root.bytes);
  }
  for (const descriptor of await source.referrers(digest)) {
    if (manifests >= LIMITS.manifests) break;
    const manifest = await source.manifest(descriptor.digest);
    if (manifest !== null) await read(source, manifest.bytes);
  }
  return found;
}

interface Layer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

function layersOf(bytes: Uint8Array): readonly Layer[] {
  const { layers } = objectOf(parseJson(bytes));
  return listOf(layers).flatMap((layer): readonly Layer[] => {
    const { mediaType, digest: text, size, annotations } = objectOf(layer);
    const digest = typeof text === 'string' ? parseDigest(text) : null;
    if (digest === null || typeof mediaType !== 'string') return [];
    const texts = Object.entries(objectOf(annotations)).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    );
    return [
      {
        mediaType,
        digest,
        size: Number.isSafeInteger(size) ? (size as number) : undefined,
        annotations: Object.fromEntries(texts),
      },
    ];
  });
}
