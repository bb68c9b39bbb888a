/**
 * What `derive` takes and gives: the contract between reading an image (publisher sources, the Worker's ingest), deriving its forms, and writing them.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import type { Form, NonstandardLayers } from '../registry/media-type.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import type { Platform } from '../registry/platform.ts';
import type { MissingForm } from '../registry/records.ts';

/** One manifest: its exact bytes and what they are known by. */
export interface Manifest {
  readonly form: Form;
  /** The media type it is served with. */
  readonly mediaType: string;
  /** Of the bytes, or of the payload for schema 1. */
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** What unpacking a layer told: needed only to rebuild a config from schema 1. */
export interface UnpackedLayer {
  /** Digest of the unpacked tar. */
  readonly diffId: Digest;
  /** Bytes of the blob as stored. */
  readonly size: number;
  /** How the blob is packed: decides its media type. */
  readonly compression: 'gzip' | 'zstd' | 'none';
}

/** Everything of a tag that was read and whose digests were verified. */
export interface ImageContent {
  /** What was published under the tag: one manifest a form (e.g. a schema 1 and a schema 2). */
  readonly roots: readonly Manifest[];
  /** Children of lists, nested lists included. A child that is not there counts as not published (a platform left out). */
  readonly children: ReadonlyMap<Digest, Manifest>;
  /** Config blobs of all image manifests. */
  readonly configs: ReadonlyMap<Digest, Uint8Array>;
  /** The layers that could be unpacked, for a schema 1 root that stands alone. Null: nobody has tried. */
  readonly unpacked: ReadonlyMap<Digest, UnpackedLayer> | null;
  /** Layer → its gzip copy, to be used in derived forms (`--recompress`). */
  readonly recompressed: ReadonlyMap<Digest, Descriptor>;
  /** Layers with addresses of their own (`urls`) whose bytes the bucket has all the same, or gets with the image. */
  readonly held: ReadonlySet<Digest>;
}

/** A manifest to be stored and, where it has a place in the tag object, offered by tag. */
export interface DerivedManifest extends Manifest {
  readonly source: { readonly kind: 'published' } | { readonly kind: 'derived'; readonly from: Digest };
  /** Set where it serves one platform of a list. */
  readonly platform?: Platform;
  /** Set where a layer of it, or of an image that it lists, is packed with zstd. */
  readonly zstd?: true;
  /** Set where a layer type of it, or of an image that it lists, is not in its specification: some libraries refuse it. */
  readonly nonstandard?: readonly NonstandardLayers[];
}

/** All forms of a tag. */
export interface Derivation {
  /** The tag object's manifests, in the order in which they are preferred among equals. */
  readonly forms: readonly DerivedManifest[];
  readonly missing: readonly MissingForm[];
  /** Manifests that are only pulled by digest: children of published and derived lists. Disjoint from `forms` by digest. */
  readonly others: readonly DerivedManifest[];
  /** Blobs that derivation made and that must be stored: the empty layer, a rebuilt config. */
  readonly blobs: readonly { readonly digest: Digest; readonly bytes: Uint8Array }[];
  /** Things worth telling who publishes (see reference limits: more than 125 entries, a signed document above 4 MiB …). */
  readonly warnings: readonly string[];
  /** What a person needs to understand each missing form beyond its reason: reason text from the converter. Same order as `missing`. */
  readonly explanations: readonly string[];
}

/** Makes a libtrust signature block; synchronous, reproducible. */
export interface Signer {
  /** Signs a schema 1 payload; gives the whole signed document. `time`: RFC 3339 UTC, whole seconds. */
  sign(payload: Uint8Array, time: string): Uint8Array;
}

/** How to derive. */
export interface DeriveOptions {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly signer: Signer;
  /** `strict` refuses what would give a broken image; `compat` does what docker/distribution does. */
  readonly mode: 'strict' | 'compat';
}
