/** Fetches what an upstream has under a tag: its manifests, the images of a list, and their configs, every one verified. Layers come when somebody pulls them. */
import { openBlob, verifyChunks } from '../../origin/blob.ts';
import type { RegistryClient } from '../../origin/client.ts';
import { type NotFound, OriginError } from '../../origin/errors.ts';
import { ACCEPT_SCHEMA1, type VerifiedManifest } from '../../origin/manifest.ts';
import type { Manifest } from '../../manifest/image.ts';
import { readLinks } from '../../manifest/links.ts';
import { ManifestError, readManifest } from '../../manifest/read.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import type { Digest } from '../../registry/digest.ts';
import { type Form, formOfMediaType, isListForm, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../registry/media-type.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { DEFAULT_PLATFORM, type Platform } from '../../registry/platform.ts';
import type { ImageContent } from '../../manifest/image.ts';

/** What an upstream has under a tag. */
export interface UpstreamImage {
  readonly kind: 'image';
  /** Of what the tag names. */
  readonly digest: Digest;
  readonly content: ImageContent;
}

/** Images of a list that come with its tag, at most: a Worker may ask so many questions a request. The others come when they are asked for by digest. */
export const IMAGES_MAX = 24;

/** Largest config that is read, in bytes. */
const CONFIG_MAX = 8 * 1024 * 1024;

/** Questions at once: a Worker has six connections. */
const AT_ONCE = 5;

/** Lists within lists: deeper ones are made to hurt. */
const DEPTH_MAX = 2;

/** Fetches a tag. `platforms`: those of a list that are wanted, null for all. Throws {@link OriginError}. */
export async function fetchImage(
  client: RegistryClient,
  {
    name,
    tag,
    platforms,
  }: { readonly name: RepositoryName; readonly tag: Tag; readonly platforms: readonly Platform[] | null },
): Promise<UpstreamImage | NotFound> {
  const reference = { kind: 'tag', tag } as const;
  const found = await client.manifest(name, reference);
  if (found.kind === 'not-found') return found;
  const root = toManifest(found, client);
  const children = new Map<Digest, Manifest>();
  if (isListForm(root.form)) await fetchChildren(client, name, root, platforms, children, 1);
  const others = await fetchOtherForms(client, name, tag, root, children);
  const roots = [root, ...others];
  const configs = new Map<Digest, Uint8Array>();
  await inParallel([...roots, ...children.values()], (manifest) => fetchConfig(client, name, manifest, configs));
  return {
    kind: 'image',
    digest: root.digest,
    content: { roots, children, configs, unpacked: new Map(), recompressed: new Map(), held: new Set() },
  };
}

/** A verified manifest, read. Throws {@link OriginError} if it is none of the known forms. */
export function toManifest(
  { bytes, mediaType, digest }: VerifiedManifest,
  client: Pick<RegistryClient, 'baseUrl'>,
): Manifest {
  try {
    const manifest = readManifest(bytes, mediaType);
    // Who asked by sha512 goes on knowing it by that.
    return manifest.form === 'docker-schema1' ? manifest : { ...manifest, digest };
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new OriginError('ORIGIN_PROTOCOL', `${client.baseUrl.host} sent what is no manifest: ${cause.message}`, {
      cause,
    });
  }
}

/**
 * What else was published under the tag: a schema 1 beside newer forms, and behind crane a schema 2 beside a list. Asked for with only those types; an upstream that
 * has none answers 404 or with something else, and some fail over the question: none of that is a reason to do without the rest.
 */
async function fetchOtherForms(
  client: RegistryClient,
  name: RepositoryName,
  tag: Tag,
  root: Manifest,
  children: ReadonlyMap<Digest, Manifest>,
): Promise<readonly Manifest[]> {
  const questions: { readonly form: Form; readonly accept: readonly string[] }[] = [
    ...(isListForm(root.form)
      ? [{ form: 'docker-schema2' as const, accept: [MEDIA_TYPE_OF_FORM['docker-schema2']] }]
      : []),
    ...(root.form === 'docker-schema1' ? [] : [{ form: 'docker-schema1' as const, accept: ACCEPT_SCHEMA1 }]),
  ];
  const answers = await inParallel(questions, async ({ form, accept }): Promise<Manifest[]> => {
    try {
      const reference = { kind: 'tag', tag } as const;
      // HEAD first: some upstreams count every manifest that they send.
      const head = await client.manifestHead(name, reference, { accept });
      if (head.kind === 'not-found') return [];
      const told = head.mediaType === undefined ? null : formOfMediaType(head.mediaType);
      if (
        (told !== null && told !== form) ||
        (head.digest !== undefined && (head.digest === root.digest || children.has(head.digest)))
      )
        return [];
      const found = await client.manifest(name, reference, { accept });
      if (found.kind === 'not-found') return [];
      const manifest = toManifest(found, client);
      return manifest.form === form && !children.has(manifest.digest) && !isNamed(root, manifest.digest)
        ? [manifest]
        : [];
    } catch (error) {
      // One that is down, or wants to be left alone, may have it all the same: then the tag is fetched another time.
      if (!(error instanceof OriginError) || (error.retryable && error.status !== 500)) throw error;
      return [];
    }
  });
  return answers.flat();
}

function isNamed(list: Manifest, digest: Digest): boolean {
  return readLinks(list.bytes)?.children.some((child) => child.digest === digest) ?? false;
}

async function fetchChildren(
  client: RegistryClient,
  name: RepositoryName,
  list: Manifest,
  platforms: readonly Platform[] | null,
  into: Map<Digest, Manifest>,
  depth: number,
): Promise<void> {
  const images = (readLinks(list.bytes)?.children ?? []).filter(
    (child) => isImage(child) && (platforms === null || isWanted(child, platforms)),
  );
  // The one that most ask for first, so that no bound leaves it out.
  const wanted = [...images]
    .sort((a, b) => Number(isDefault(b.platform)) - Number(isDefault(a.platform)))
    .slice(0, IMAGES_MAX);
  const found = await inParallel(wanted, async ({ digest, mediaType, size }): Promise<Manifest | null> => {
    const child = await client.manifest(
      name,
      { kind: 'digest', digest },
      mediaType === '' ? {} : { accept: [mediaType] },
    );
    if (child.kind === 'not-found') return null;
    if (child.bytes.length !== size) {
      throw new OriginError(
        'ORIGIN_PROTOCOL',
        `the manifest ${digest} has ${String(child.bytes.length)} bytes; the list that names it says ${String(size)}`,
      );
    }
    return toManifest(child.mediaType === undefined ? { ...child, mediaType } : child, client);
  });
  for (const child of found) if (child !== null) into.set(child.digest, child);
  if (depth >= DEPTH_MAX) return;
  for (const child of found)
    if (child !== null && isListForm(child.form)) await fetchChildren(client, name, child, platforms, into, depth + 1);
}

// Attestations come when they are asked for: they are of an unknown platform, or say what they refer to.
function isImage({ platform, annotations, artifactType }: Descriptor): boolean {
  return (
    platform?.os !== 'unknown' && annotations?.['vnd.docker.reference.type'] === undefined && artifactType === undefined
  );
}

function isWanted({ platform }: Descriptor, wanted: readonly Platform[]): boolean {
  if (platform === undefined) return true;
  return wanted.some(
    ({ os, architecture, variant }) =>
      os === platform.os &&
      architecture === platform.architecture &&
      (variant === undefined || variant === platform.variant),
  );
}

function isDefault(platform: Platform | undefined): boolean {
  return platform?.os === DEFAULT_PLATFORM.os && platform.architecture === DEFAULT_PLATFORM.architecture;
}

const CONFIG_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.dockerConfig, MEDIA_TYPES.ociConfig]);

async function fetchConfig(
  client: RegistryClient,
  name: RepositoryName,
  manifest: Manifest,
  into: Map<Digest, Uint8Array>,
): Promise<void> {
  const links = isListForm(manifest.form) ? null : readLinks(manifest.bytes);
  const config = links?.config;
  if (config === undefined || into.has(config.digest) || !CONFIG_TYPES.has(links?.configMediaType ?? '')) return;
  if ((config.size ?? 0) > CONFIG_MAX) throw tooLong(config.digest);
  const blob = await openBlob(client, name, config.digest);
  // A manifest without its config cannot be pulled, but it is what the upstream has; nothing is derived from it.
  if (blob.kind === 'not-found') return;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of verifyChunks(blob.chunks, { digest: config.digest, size: config.size })) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > CONFIG_MAX) throw tooLong(config.digest);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  into.set(config.digest, bytes);
}

function tooLong(digest: Digest): OriginError {
  return new OriginError('ORIGIN_PROTOCOL', `the config ${digest} has more than ${String(CONFIG_MAX)} bytes`);
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item !== undefined) results[index] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return results;
}
