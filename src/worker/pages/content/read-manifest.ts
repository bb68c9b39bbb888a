/** Reads what the page of a manifest shows, by its digest, with at most two reads. */
import { BUNDLE_MAX, signersOfBundle, signersOfManifest } from '../../../manifest/signers/signers.ts';
import type { SignerClaim } from '../../../registry/descriptor.ts';
import type { Digest } from '../../../registry/digest.ts';
import { blobKey } from '../../../registry/keys.ts';
import { type ChildView, type ConfigView, type ManifestView, readChildren, readManifestView } from './image-view.ts';
import { listOf, objectOf, parseJson, textOf } from '../../../registry/values/json.ts';
import { digestOf, pairsOf } from './json.ts';
import { type PagePlace, readDetails, readDocument, readStoredManifest } from './read-tag.ts';

/** A stored manifest: a list, or an image or artifact. */
export interface StoredManifestView {
  readonly mediaType: string | null;
  /** Size of the manifest in bytes. */
  readonly length: number;
  /** Null for a list. */
  readonly manifest: ManifestView | null;
  readonly details: ConfigView | null;
  /** The entries of a list. */
  readonly children: readonly ChildView[];
  readonly annotations: readonly (readonly [string, string])[];
  /** The manifest that this one refers to, as a signature does. */
  readonly subject: Digest | null;
  readonly signers: readonly SignerClaim[];
}

/**
 * Reads a manifest, and its config or, for a signature, the bundle that names the signer. Null if it is not stored.
 * Throws `StorageError`.
 */
export async function readManifestPage(place: PagePlace, digest: Digest): Promise<StoredManifestView | null> {
  const document = await readStoredManifest(place, digest);
  if (document === null) return null;
  const { bytes, contentType } = document;
  const json = objectOf(parseJson(bytes));
  const isList = listOf(json.manifests).length > 0;
  const manifest = isList ? null : readManifestView(bytes);
  const { signers, bundle } = signersOfManifest(bytes);
  const read =
    bundle === null ? null : await readDocument(place.store, blobKey(place.realm, bundle.digest), BUNDLE_MAX);
  return {
    mediaType: textOf(json.mediaType) ?? contentType,
    length: bytes.length,
    manifest,
    details: bundle === null ? await readDetails(place, manifest) : null,
    children: isList ? readChildren(bytes) : [],
    annotations: pairsOf(json.annotations),
    subject: digestOf(objectOf(json.subject).digest),
    signers: read === null ? signers : [...signers, ...signersOfBundle(read.bytes)],
  };
}
