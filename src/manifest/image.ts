/**
 * Input and output of `derive`: the contract between reading an image (publisher sources, pull-through), deriving its
 * forms, and writing them.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import type { Form, NonstandardLayers } from '../registry/media-type.ts';
import type { RepositoryName, Tag } from '../registry/name.ts';
import type { Platform } from '../registry/platform.ts';
import type { MissingForm } from '../registry/records.ts';

// Limits of what is derived, which guard against malicious input. A published manifest beyond them stays as it is.

/**
 * Bytes of a derived manifest. distribution refuses to store longer ones, and containers/image to read them
 * (`internal/iolimits`).
 */
export const DERIVED_MAX = 4 * 1024 * 1024;

/**
 * Entries of a history that are converted from or to schema 1. Engines stack at most 127 layers. A build adds an entry
 * for each instruction; real images have fewer than 300.
 */
export const HISTORY_MAX = 1_000;

/** Layers of an image that is converted. */
export const LAYERS_MAX = 1_000;

/** One manifest: its exact bytes, form and digest. */
export interface Manifest {
  readonly form: Form;
  /** The media type it is served with. */
  readonly mediaType: string;
  /** The digest of the bytes, or of the payload for schema 1. */
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** The result of unpacking a layer: needed only to make a config from schema 1. */
export interface UnpackedLayer {
  /** Digest of the unpacked tar. */
  readonly diffId: Digest;
  /** Bytes of the blob as stored. */
  readonly size: number;
  /** The blob's compression, which decides its media type. */
  readonly compression: 'gzip' | 'zstd' | 'none';
}

/** What was read of a tag. All digests are verified. */
export interface ImageContent {
  /** What was published under the tag: one manifest for each form (e.g. a schema 1 and a schema 2). */
  readonly roots: readonly Manifest[];
  /** Children of lists, nested lists included. An absent child counts as not published. */
  readonly children: ReadonlyMap<Digest, Manifest>;
  /** Config blobs of all image manifests. */
  readonly configs: ReadonlyMap<Digest, Uint8Array>;
  /** The layers that could be unpacked, for a schema 1 root that stands alone. Null: nobody has tried. */
  readonly unpacked: ReadonlyMap<Digest, UnpackedLayer> | null;
  /** Layer → its gzip copy, to be used in derived forms (`--recompress`). */
  readonly recompressed: ReadonlyMap<Digest, Descriptor>;
  /**
   * Config → for each layer its copy with explicit whiteouts, to be used in schema 1 (`--rewrite-opaque`), or null.
   * Absent: there are none.
   */
  readonly whiteoutCopies?: ReadonlyMap<Digest, readonly (Descriptor | null)[]>;
  /** Layers with `urls` whose bytes the bucket has, or gets with the image. */
  readonly held: ReadonlySet<Digest>;
}

/** A manifest that is stored, and offered by tag if it has a place in the tag object. */
export interface DerivedManifest extends Manifest {
  readonly source: { readonly kind: 'published' } | { readonly kind: 'derived'; readonly from: Digest };
  /** The platform of a list's child; absent for the list itself and for single images. */
  readonly platform?: Platform;
  /** Set if a layer of it, or of an image in its list, has zstd compression. */
  readonly zstd?: true;
  /** Set if a layer type of it, or of an image in its list, is not in the specification: some libraries refuse it. */
  readonly nonstandard?: readonly NonstandardLayers[];
}

/** All forms of a tag. */
export interface Derivation {
  /** The manifests of the tag object, in order of preference among equals. */
  readonly forms: readonly DerivedManifest[];
  readonly missing: readonly MissingForm[];
  /** Manifests that are pulled only by digest: children of published and derived lists. None of them is in `forms`. */
  readonly others: readonly DerivedManifest[];
  /** New blobs that must be stored: the empty layer, a config made from schema 1. */
  readonly blobs: readonly { readonly digest: Digest; readonly bytes: Uint8Array }[];
  /** Warnings for the publisher, e.g. more than 125 entries. */
  readonly warnings: readonly string[];
  /** Why each form is missing, in words, beyond its reason. In the order of `missing`. */
  readonly explanations: readonly string[];
}

/** Makes libtrust signatures; synchronous and reproducible. */
export interface Signer {
  /** Signs a schema 1 payload and returns the signed document. `time`: RFC 3339 UTC, whole seconds. */
  sign(payload: Uint8Array, time: string): Uint8Array;
}

/** How to derive. */
export interface DeriveOptions {
  readonly name: RepositoryName;
  readonly tag: Tag;
  readonly signer: Signer;
  /** `strict` refuses what would give a broken image; `compat` does what docker/distribution does. */
  readonly mode: 'strict' | 'compat';
  /** Most bytes of all derived manifests together; absent: no limit. A Worker has them in memory at once. */
  readonly mostDerived?: number;
}
