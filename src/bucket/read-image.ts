/** Reads an image from a source: its manifests, children and configs, every one verified. Layers are only named; they are verified on their way. */
import type { ImageContent, Manifest } from '../manifest/image.ts';
import { ManifestError, readManifest } from '../manifest/read.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import { isListForm } from '../registry/media-type.ts';
import { formatPlatform, type Platform } from '../registry/platform.ts';
import { CommandError } from '../publisher/cli/errors.ts';
import { readLinks } from '../manifest/links.ts';
import type { SourceImage, SourceManifest } from '../publisher/sources/source.ts';
import { readBlob } from '../publisher/streams/verified-stream.ts';
import { hasDigest } from '../publisher/verify/check-manifests.ts';

/** Most bytes of an image config; larger ones that belong to artifacts are blobs like any other. */
export const CONFIG_MAX_BYTES = 16 * 1024 * 1024;

/** Lists within lists, and children in all: beyond that something is made to hurt. */
const LIST_LIMITS = { depth: 4, children: 2_000 } as const;

/** What was read. */
export interface ReadImage {
  readonly content: Pick<ImageContent, 'roots' | 'children' | 'configs'>;
  /** Children of lists that the source does not have or that nobody asked for: published lists keep naming them. */
  readonly leftOut: readonly Descriptor[];
}

/** How to read. */
export interface ReadOptions {
  /** Of a list, only these; empty means all. */
  readonly platforms?: readonly Platform[];
  readonly signal?: AbortSignal | undefined;
}

/** Reads an image. Throws {@link CommandError} where something is missing or is not what its digest says. */
export async function readImage(source: SourceImage, options: ReadOptions = {}): Promise<ReadImage> {
  const roots = source.roots.map((root) => verifiedManifest(root, root.digest, 'manifest'));
  if (roots.length === 0) throw new CommandError('the source has no manifest');
  const children = new Map<Digest, Manifest>();
  const leftOut: Descriptor[] = [];
  for (const root of roots)
    if (isListForm(root.form)) await readChildren(source, root, options, { children, leftOut, depth: 1 });
  const configs = new Map<Digest, Uint8Array>();
  for (const manifest of [...roots, ...children.values()]) {
    const config = isListForm(manifest.form) ? undefined : readLinks(manifest.bytes)?.config;
    if (config === undefined || configs.has(config.digest)) continue;
    const isImage = /(?:container\.image\.v1|image\.config\.v1)\+json$/.test(
      readLinks(manifest.bytes)?.configMediaType ?? '',
    );
    if (!isImage && (config.size ?? 0) > CONFIG_MAX_BYTES) continue;
    configs.set(
      config.digest,
      await readBlob(
        source,
        { digest: config.digest, size: config.size, role: 'config' },
        { most: CONFIG_MAX_BYTES, signal: options.signal },
      ),
    );
  }
  return { content: { roots, children, configs }, leftOut };
}

/** Reads a manifest's form, and sees that it has the digest it is asked by. Throws {@link CommandError}. */
export function verifiedManifest(
  { bytes, mediaType }: SourceManifest,
  digest: Digest | undefined,
  what: string,
): Manifest {
  const manifest = read(bytes, mediaType, digest === undefined ? what : `${what} ${digest}`);
  if (digest === undefined || manifest.digest === digest) return manifest;
  // A sha512 digest is as good; readManifest knows manifests by sha256.
  if (manifest.form !== 'docker-schema1' && hasDigest(bytes, digest)) return { ...manifest, digest };
  throw new CommandError(`the ${what} ${digest} is damaged: its content has the digest ${manifest.digest}`, {
    hint: 'The source is damaged: copy the image into it again.',
  });
}

function read(bytes: Uint8Array, mediaType: string | undefined, what: string): Manifest {
  try {
    return readManifest(bytes, mediaType);
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new CommandError(`the ${what} cannot be published: ${cause.message}`, {
      cause,
      hint: 'Nothing was written. Look at what the source has, or make it anew.',
    });
  }
}

interface Children {
  readonly children: Map<Digest, Manifest>;
  readonly leftOut: Descriptor[];
  readonly depth: number;
}

async function readChildren(source: SourceImage, list: Manifest, options: ReadOptions, into: Children): Promise<void> {
  const { children, leftOut, depth } = into;
  const descriptors = readLinks(list.bytes)?.children ?? [];
  if (depth > LIST_LIMITS.depth)
    throw new CommandError(`the list ${list.digest} lies in more than ${String(LIST_LIMITS.depth)} other lists`);
  let found = 0;
  for (const descriptor of descriptors) {
    options.signal?.throwIfAborted();
    const { digest, size } = descriptor;
    const given = isWanted(descriptor, descriptors, options.platforms ?? []) ? await source.manifest(digest) : null;
    if (given === null) {
      leftOut.push(descriptor);
      continue;
    }
    found += 1;
    if (children.has(digest)) continue;
    if (children.size >= LIST_LIMITS.children)
      throw new CommandError(`the list has more than ${String(LIST_LIMITS.children)} children`);
    const child = verifiedManifest({ mediaType: descriptor.mediaType, ...given }, digest, 'manifest');
    if (child.bytes.length !== size) {
      throw new CommandError(
        `the manifest ${digest} has ${String(child.bytes.length)} bytes; the list says ${String(size)}`,
      );
    }
    children.set(digest, child);
    if (isListForm(child.form)) await readChildren(source, child, options, { ...into, depth: depth + 1 });
  }
  if (found === 0 && descriptors.length > 0 && depth === 1) {
    const there = descriptors.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
    throw new CommandError('the source has none of the images that the list names', {
      hint:
        (options.platforms ?? []).length > 0
          ? `The list has: ${[...new Set(there)].join(', ')}.`
          : 'Copy the whole list: skopeo copy --all …',
    });
  }
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

/** What a person calls an image of a list: its platform, or its digest where it has none. */
export function titleOf({ platform, digest }: Descriptor): string {
  return platform === undefined || platform.os === 'unknown' ? digest : formatPlatform(platform);
}
