/**
 * What a manifest names, for all forms. Parsed leniently, for garbage collection and maintenance, never for serving.
 */
import type { Descriptor } from '../registry/descriptor.ts';
import { type Digest, parseDigest } from '../registry/digest.ts';
import { type Form, formOfMediaType } from '../registry/media-type.ts';
import type { Platform } from '../registry/platform.ts';
import { isObject, listOf, parseJson } from '../registry/values/json.ts';

/** A config or layer that a manifest names. */
export interface BlobLink {
  readonly digest: Digest;
  /** Size in bytes, if the manifest has it (schema 1 does not). */
  readonly size?: number;
  /** It has `urls` (a foreign layer), so the bucket may lack it. */
  readonly foreign: boolean;
}

/** Everything that a manifest names. */
export interface ManifestLinks {
  /** The `mediaType` member, if there is one. */
  readonly mediaType: string | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** Manifests of a list or index. */
  readonly children: readonly Descriptor[];
  readonly config: BlobLink | undefined;
  /** The type of an artifact without `artifactType`. */
  readonly configMediaType: string | undefined;
  /** Layers in the manifest's order; those of schema 1 newest first. */
  readonly layers: readonly BlobLink[];
  /** The manifest that this one refers to (of a signature, an attestation …). */
  readonly subject: Digest | undefined;
  readonly schemaVersion: number | undefined;
  /** Number of descriptors without a supported digest. */
  readonly unreadable: number;
}

/**
 * Reads what a manifest names; null if it is not a JSON object. Descriptors without a supported digest cannot be in a
 * bucket; they are only counted.
 */
export function readLinks(bytes: Uint8Array): ManifestLinks | null {
  const value = parseJson(bytes);
  if (!isObject(value)) return null;
  const children = listOf(value.manifests).map(toDescriptor);
  const config = value.config === undefined ? undefined : toBlob(value.config);
  // The withdrawn OCI artifact manifest calls its layers `blobs`; oras still accepts it.
  const layers = [...listOf(value.layers), ...listOf(value.blobs)].map(toBlob);
  const old = listOf(value.fsLayers).map((layer) => toBlob(isObject(layer) ? { digest: layer.blobSum } : undefined));
  const subject = value.subject === undefined || value.subject === null ? undefined : toDescriptor(value.subject);
  const { mediaType, artifactType, annotations, schemaVersion } = value;
  const unreadable = [...children, config, ...layers, ...old, subject].filter((link) => link === null).length;
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : undefined,
    artifactType: typeof artifactType === 'string' ? artifactType : undefined,
    annotations: isObject(annotations) ? (annotations as Record<string, string>) : undefined,
    children: children.filter((child) => child !== null),
    config: config ?? undefined,
    configMediaType:
      isObject(value.config) && typeof value.config.mediaType === 'string' ? value.config.mediaType : undefined,
    layers: [...layers, ...old].filter((layer) => layer !== null),
    subject: subject?.digest,
    schemaVersion: typeof schemaVersion === 'number' ? schemaVersion : undefined,
    unreadable,
  };
}

/** The form of the content, independent of its header: OCI manifests may lack `mediaType`. */
export function formOfContent(bytes: Uint8Array): Form | null {
  const links = readLinks(bytes);
  return links === null ? null : formOfLinks(links);
}

/** The form, from links that were read. */
export function formOfLinks(links: ManifestLinks): Form | null {
  if (links.schemaVersion === 1) return links.layers.length > 0 ? 'docker-schema1' : null;
  const form = links.mediaType === undefined ? null : formOfMediaType(links.mediaType);
  if (form !== null) return form;
  if (links.children.length > 0) return 'oci-index';
  return links.config === undefined ? null : 'oci-manifest';
}

/** The config and layers, each digest once. */
export function blobsOf(links: ManifestLinks): readonly BlobLink[] {
  const all = links.config === undefined ? links.layers : [links.config, ...links.layers];
  return [...new Map(all.map((blob) => [blob.digest, blob])).values()];
}

function toDescriptor(value: unknown): Descriptor | null {
  if (!isObject(value)) return null;
  const { digest: text, mediaType, size, platform, annotations, artifactType, ...others } = value;
  const digest = typeof text === 'string' ? parseDigest(text) : null;
  if (digest === null) return null;
  // Members of a wrong type count as absent: readers rely on the types.
  const hasPlatform =
    isObject(platform) && typeof platform.os === 'string' && typeof platform.architecture === 'string';
  return {
    ...others,
    ...(hasPlatform ? { platform: platform as unknown as Platform } : {}),
    ...(isObject(annotations) ? { annotations: annotations as Record<string, string> } : {}),
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    digest,
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    size: typeof size === 'number' ? size : 0,
  };
}

function toBlob(value: unknown): BlobLink | null {
  if (!isObject(value)) return null;
  const { digest: text, size, urls } = value;
  const digest = typeof text === 'string' ? parseDigest(text) : null;
  if (digest === null) return null;
  return { digest, foreign: Array.isArray(urls) && urls.length > 0, ...(typeof size === 'number' ? { size } : {}) };
}
