/**
 * Reads an image from a source: its manifests, children and configs, every one verified. Layers are only named; they
 * are verified when they are read.
 */
import type { ImageContent, Manifest } from '../manifest/image.ts';
import { readLinks } from '../manifest/links.ts';
import { ManifestError, readManifest } from '../manifest/read.ts';
import { matchesDigest, sha256Of } from '../manifest/signing/sha256.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import { isListForm, MEDIA_TYPES } from '../registry/media-type.ts';
import { formatPlatform, isDefaultPlatform, type Platform } from '../registry/platform.ts';
import { mapLimit } from './concurrency.ts';
import { ImageError, type ImageSource, type SourceManifest } from './image-source.ts';

/**
 * Limits of what is read, which guard against malicious input: bytes of a config, depth of lists in lists, children in
 * all; and requests at once (a Worker has six connections).
 */
export const IMAGE_LIMITS = { config: 16 * 1024 * 1024, depth: 4, children: 2_000, requests: 5 } as const;

/** Children of lists, in all, that are read `'on-demand'`: a Worker may make so many requests. */
export const ON_DEMAND_CHILDREN = 24;

/** Bytes of a config that is read `'on-demand'`: the limit of containers/image (`internal/iolimits`). */
export const ON_DEMAND_CONFIG = 4 * 1024 * 1024;

/** What was read. */
export interface ReadImage {
  readonly content: Pick<ImageContent, 'roots' | 'children' | 'configs'>;
  /** Children of lists that the source does not have or that were not wanted: published lists keep naming them. */
  readonly leftOut: readonly Descriptor[];
}

/** How to read. */
export interface ReadOptions {
  /** Of a list, only these; empty means all. */
  readonly platforms?: readonly Platform[];
  /**
   * `complete`: everything that the image consists of must be there. `on-demand`: only what deriving forms needs is
   * read, since the rest is fetched when a client requests it: of lists the images, the default platform first, at
   * most {@link ON_DEMAND_CHILDREN} in all; and image configs, which may be missing.
   */
  readonly scope?: 'complete' | 'on-demand';
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads an image. Throws {@link ImageError} where something is missing, or is not what its digest says, and whatever
 * the source throws.
 */
export async function readImage(source: ImageSource, options: ReadOptions = {}): Promise<ReadImage> {
  const roots = source.roots.map((root) => verifiedManifest(root, root.digest));
  if (roots.length === 0) throw new ImageError('the source has no manifest');
  const children = new Map<Digest, Manifest>();
  const leftOut: Descriptor[] = [];
  const requested = new Set<Digest>();
  for (const root of roots) {
    if (!isListForm(root.form)) continue;
    const found = await readChildren(source, root, options, { children, requested, leftOut, depth: 1 });
    if (found === 0 && options.scope !== 'on-demand') throw noChildren(root, options.platforms ?? []);
  }
  return {
    content: { roots, children, configs: await readConfigs(source, [...roots, ...children.values()], options) },
    leftOut,
  };
}

/** Parses a manifest and verifies the digest that it is known by. Throws {@link ImageError}. */
export function verifiedManifest({ bytes, mediaType }: SourceManifest, digest: Digest | undefined): Manifest {
  const what = digest === undefined ? 'the manifest' : `the manifest ${digest}`;
  let manifest: Manifest;
  try {
    manifest = readManifest(bytes, mediaType);
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new ImageError(`${what} cannot be published: ${cause.message}`, {
      cause,
      hint: 'Nothing was written. Check the source, or build the image again.',
    });
  }
  if (digest === undefined || manifest.digest === digest) return manifest;
  // A sha512 digest is as good; readManifest computes sha256.
  if (manifest.form !== 'docker-schema1' && matchesDigest(digest, bytes)) return { ...manifest, digest };
  throw new ImageError(`${what} is damaged: its content has the digest ${manifest.digest}`, { hint: DAMAGED });
}

function overLimit(message: string): ImageError {
  return new ImageError(message, { isOverLimit: true });
}

const DAMAGED = 'The source is damaged: copy the image into it again.';

interface Children {
  readonly children: Map<Digest, Manifest>;
  /** Children that were requested of the source. */
  readonly requested: Set<Digest>;
  readonly leftOut: Descriptor[];
  readonly depth: number;
}

/** Reads the children of a list, and theirs. Gives how many the source has. */
async function readChildren(
  source: ImageSource,
  list: Manifest,
  options: ReadOptions,
  into: Children,
): Promise<number> {
  const { children, requested, leftOut, depth } = into;
  if (depth > IMAGE_LIMITS.depth)
    throw overLimit(`the list ${list.digest} is nested in more than ${String(IMAGE_LIMITS.depth)} other lists`);
  const descriptors = readLinks(list.bytes)?.children ?? [];
  const wanted = new Set(selectChildren(descriptors, options, requested));
  for (const { digest } of wanted) requested.add(digest);
  if (children.size + wanted.size > IMAGE_LIMITS.children)
    throw overLimit(`the list has more than ${String(IMAGE_LIMITS.children)} children`);
  const found = await mapLimit(descriptors, IMAGE_LIMITS.requests, async (descriptor) => {
    options.signal?.throwIfAborted();
    const { digest, mediaType } = descriptor;
    if (!wanted.has(descriptor)) return null;
    return children.get(digest) ?? readChild(await source.manifest(digest, { mediaType }), descriptor);
  });
  for (const [index, child] of found.entries()) {
    const descriptor = descriptors[index];
    if (child === null) {
      if (descriptor !== undefined) leftOut.push(descriptor);
      continue;
    }
    if (children.has(child.digest)) continue;
    children.set(child.digest, child);
    if (isListForm(child.form)) await readChildren(source, child, options, { ...into, depth: depth + 1 });
  }
  return descriptors.length === 0 ? 1 : found.filter((child) => child !== null).length;
}

function readChild(given: SourceManifest | null, { digest, mediaType, size }: Descriptor): Manifest | null {
  if (given === null) return null;
  const child = verifiedManifest({ mediaType, ...given }, digest);
  const { length } = child.bytes;
  if (length === size) return child;
  throw new ImageError(`the manifest ${digest} has ${String(length)} bytes; the list says ${String(size)}`);
}

function noChildren(list: Manifest, platforms: readonly Platform[]): ImageError {
  const there = (readLinks(list.bytes)?.children ?? []).flatMap(({ platform }) =>
    platform === undefined ? [] : [formatPlatform(platform)],
  );
  return new ImageError('the source lacks all images of the list', {
    hint:
      platforms.length > 0
        ? `The list has: ${[...new Set(there)].join(', ')}.`
        : 'Copy the whole list: skopeo copy --all …',
  });
}

/** `requested`: those that were requested before. */
function selectChildren(
  descriptors: readonly Descriptor[],
  { platforms = [], scope }: ReadOptions,
  requested: ReadonlySet<Digest>,
): readonly Descriptor[] {
  const wanted = descriptors.filter((descriptor) => isWanted(descriptor, descriptors, platforms));
  if (scope !== 'on-demand') return wanted;
  // The default platform first, so that the limit does not leave it out.
  const rank = ({ platform }: Descriptor): number => (isDefaultPlatform(platform) ? 0 : 1);
  const images = wanted.filter(isImage);
  const known = images.filter(({ digest }) => requested.has(digest));
  const others = images.filter(({ digest }) => !requested.has(digest)).sort((a, b) => rank(a) - rank(b));
  return [...known, ...others.slice(0, Math.max(0, ON_DEMAND_CHILDREN - requested.size))];
}

/** Attestations go with the image they are of (annotation `vnd.docker.reference.digest`). */
function isWanted(descriptor: Descriptor, siblings: readonly Descriptor[], platforms: readonly Platform[]): boolean {
  if (platforms.length === 0 || descriptor.platform === undefined) return true;
  const of = descriptor.annotations?.['vnd.docker.reference.digest'];
  if (of !== undefined)
    return siblings.some(
      (sibling) => sibling.digest === of && sibling !== descriptor && isWanted(sibling, [], platforms),
    );
  const { os, architecture, variant } = descriptor.platform;
  return platforms.some(
    (one) =>
      one.os === os && one.architecture === architecture && (one.variant === undefined || one.variant === variant),
  );
}

// Attestations have an unknown platform, or say what they refer to.
function isImage({ platform, annotations, artifactType }: Descriptor): boolean {
  return (
    platform?.os !== 'unknown' && annotations?.['vnd.docker.reference.type'] === undefined && artifactType === undefined
  );
}

const IMAGE_CONFIGS: ReadonlySet<unknown> = new Set([MEDIA_TYPES.dockerConfig, MEDIA_TYPES.ociConfig]);

async function readConfigs(
  source: ImageSource,
  manifests: readonly Manifest[],
  { scope, signal }: ReadOptions,
): Promise<ReadonlyMap<Digest, Uint8Array>> {
  const wanted = new Map<Digest, number | undefined>();
  for (const { form, bytes } of manifests) {
    const links = isListForm(form) ? null : readLinks(bytes);
    if (links?.config === undefined) continue;
    const { digest, size } = links.config;
    const isImageConfig = IMAGE_CONFIGS.has(links.configMediaType);
    // The config of an artifact may be of any kind and size: a long one is a blob like any other.
    if (!isImageConfig && (scope === 'on-demand' || (size ?? 0) > IMAGE_LIMITS.config)) continue;
    wanted.set(digest, wanted.get(digest) ?? size);
  }
  const limit = scope === 'on-demand' ? ON_DEMAND_CONFIG : IMAGE_LIMITS.config;
  const configs = await mapLimit([...wanted], IMAGE_LIMITS.requests, async ([digest, size]) => ({
    digest,
    bytes: await readSmallBlob(source, { digest, role: 'config', size, limit }, signal),
  }));
  const found = new Map<Digest, Uint8Array>();
  for (const { digest, bytes } of configs) {
    if (bytes !== null) found.set(digest, bytes);
    else if (scope !== 'on-demand')
      throw new ImageError(`the source lacks the config ${digest}`, {
        hint: 'The image is incomplete: copy it again.',
      });
  }
  return found;
}

/** A small blob to read: what it is for messages, its size where it is known, and the most bytes that are read. */
export interface SmallBlob {
  readonly digest: Digest;
  readonly role: string;
  readonly size: number | undefined;
  readonly limit: number;
}

/** Reads a small blob whole, and checks its size and digest. null if the source lacks it. Throws {@link ImageError}. */
export async function readSmallBlob(
  source: Pick<ImageSource, 'blob'>,
  { digest, role, size: expected, limit }: SmallBlob,
  signal?: AbortSignal,
): Promise<Uint8Array | null> {
  const what = `the ${role} ${digest}`;
  const tooLong = (): ImageError => overLimit(`${what} has more than ${String(limit)} bytes, the limit for a ${role}`);
  const blob = await source.blob(digest, signal === undefined ? {} : { signal });
  if (blob === null) return null;
  const size = expected ?? blob.size;
  if (size !== undefined && size > limit) throw tooLong();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of blob.chunks) {
    length += chunk.length;
    if (length > limit) throw tooLong();
    if (size !== undefined && length > size)
      throw new ImageError(`${what} has more than ${String(size)} bytes`, { hint: DAMAGED });
    parts.push(chunk);
  }
  if (size !== undefined && length !== size) {
    throw new ImageError(`${what} has ${String(length)} bytes instead of ${String(size)}`, { hint: DAMAGED });
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  if (!matchesDigest(digest, bytes))
    throw new ImageError(`${what} is damaged: its content has the digest ${sha256Of(bytes)}`, { hint: DAMAGED });
  return bytes;
}

/** What a person calls an image of a list: its platform, or its digest where it has none. */
export function titleOf({ platform, digest }: Descriptor): string {
  return platform === undefined || platform.os === 'unknown' ? digest : formatPlatform(platform);
}
