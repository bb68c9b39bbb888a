/**
 * `oci:FOLDER[:REF]`: an OCI image layout (OCI image spec, image-layout.md). `index.json` names manifests; blobs are in
 * `blobs/<algorithm>/<hex>`. REF is the annotation `org.opencontainers.image.ref.name`, `@N`, or a digest; it may be
 * omitted if there is one image.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '../../registry/descriptor.ts';
import { algorithmOf, type Digest, hexOf, parseDigest } from '../../registry/digest.ts';
import { formOfMediaType } from '../../registry/media-type.ts';
import { parseTag } from '../../registry/name.ts';
import { CommandError } from '../cli/errors.ts';
import { readLinks } from '../../manifest/links.ts';
import { MANIFEST_MAX_BYTES, openFileBlob, readSmallFile } from './files.ts';
import { type Companion, COSIGN_SUFFIXES, type ImageSource, type SourceManifest } from '../../bucket/image-source.ts';
import { type SourceOptions } from './source.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';

/** The files of a layout: a folder or an archive. */
export interface LayoutFiles {
  /** For messages. */
  readonly title: string;
  /** Reads a small file by its path in the layout; null if it does not exist. */
  read(path: string): Promise<Uint8Array | null>;
  /** Opens a blob by its path in the layout; null if it does not exist. */
  open(path: string, signal?: AbortSignal): ReturnType<ImageSource['blob']>;
  close(): Promise<void>;
}

/** Opens a layout in a folder. Throws {@link CommandError}. */
export async function openOciLayout(where: string, options: Pick<SourceOptions, 'signal'> = {}): Promise<ImageSource> {
  const [folder, ref] = await splitRef(where);
  return openLayout(
    {
      title: folder,
      read: (path) => readSmallFile(join(folder, path), options.signal),
      open: (path, signal = options.signal) => openFileBlob(join(folder, path), signal),
      close: () => Promise.resolve(),
    },
    ref,
  );
}

/** Opens a layout in a folder or an archive. Throws {@link CommandError}. */
export async function openLayout(unlimited: LayoutFiles, ref: string | undefined): Promise<ImageSource> {
  const files = withinBudget(unlimited);
  const index = await readIndex(files);
  const root = await choose(files, index, ref);
  const first = await manifestOf(files, root.digest, root.mediaType);
  if (first === null)
    throw new CommandError(`${files.title} lacks the manifest ${root.digest} that its index.json names`, {
      hint: 'Copy the image again.',
    });
  let listed: Promise<ReadonlyMap<Digest, readonly Descriptor[]>> | undefined;
  const imageOf = (root: SourceManifest): ImageSource => ({
    roots: [root],
    manifest: (digest) => manifestOf(files, digest),
    blob: (digest, { signal } = {}) => files.open(pathOf(digest), signal),
    referrers: async (subject) => (await (listed ??= referrersOf(files, index))).get(subject) ?? [],
    companions,
    close: () => files.close(),
  });
  async function companions(subject: Digest): Promise<readonly Companion[]> {
    const found: Companion[] = [];
    for (const suffix of COSIGN_SUFFIXES) {
      const tag = parseTag(`${algorithmOf(subject)}-${hexOf(subject)}.${suffix}`);
      const entry = index.find(({ annotations }) => tag !== null && annotations?.[REF_NAME] === tag);
      const manifest = entry === undefined ? null : await manifestOf(files, entry.digest, entry.mediaType);
      if (tag !== null && manifest !== null) found.push({ tag, image: imageOf(manifest) });
    }
    return found;
  }
  return imageOf(first);
}

/** What is read of one layout to find an image and its referrers: a nested index could name the same file for ever. */
const BUDGET = { reads: 100_000, bytes: 1024 * 1024 * 1024 } as const;

/** Limits how many documents are read. Reading beyond throws {@link CommandError}. */
function withinBudget(files: LayoutFiles): LayoutFiles {
  let [reads, bytes] = [0, 0];
  return {
    title: files.title,
    open: (path, signal) => files.open(path, signal),
    close: () => files.close(),
    read: async (path) => {
      reads += 1;
      const found = await files.read(path);
      bytes += found?.length ?? 0;
      if (reads > BUDGET.reads || bytes > BUDGET.bytes)
        throw new CommandError(`${files.title} has too many manifests`, {
          hint: `At most ${String(BUDGET.reads)} are read. Copy the image alone into a new layout.`,
        });
      return found;
    },
  };
}

/** Splits `FOLDER:REF` at the first colon, as containers/image does, unless a folder has the whole as its name. */
async function splitRef(where: string): Promise<readonly [string, string | undefined]> {
  const isFolder = async (path: string): Promise<boolean> =>
    stat(path).then(
      (facts) => facts.isDirectory(),
      () => false,
    );
  const colon = where.indexOf(':');
  if (colon < 0 || (await isFolder(where))) return [where, undefined];
  return [where.slice(0, colon), where.slice(colon + 1)];
}

async function readIndex(files: LayoutFiles): Promise<readonly Descriptor[]> {
  const bytes = await files.read('index.json');
  if (bytes === null) {
    throw new CommandError(`${files.title} has no index.json, so it is not an OCI layout`, {
      hint: 'Check the path. For the output of `skopeo copy … dir:FOLDER`, write dir:FOLDER.',
    });
  }
  const links = readLinks(bytes);
  if (links === null)
    throw new CommandError(`${files.title}/index.json is not JSON`, { hint: 'Copy the image again.' });
  return links.children;
}

async function choose(files: LayoutFiles, index: readonly Descriptor[], ref: string | undefined): Promise<Descriptor> {
  if (ref === undefined) {
    const images = index.filter((descriptor) => !isReferrer(descriptor));
    const [only] = images;
    if (only !== undefined && images.length === 1) return only;
    throw new CommandError(
      images.length === 0
        ? `${files.title} contains no image`
        : `${files.title} contains ${String(images.length)} images`,
      {
        hint: images.length === 0 ? 'Copy an image into it first.' : `Choose one: ${names(images)}.`,
      },
    );
  }
  const position = /^@(\d+)$/.exec(ref)?.[1];
  const digest = parseDigest(ref);
  const found =
    position !== undefined
      ? index[Number(position)]
      : ((digest === null ? undefined : index.find((descriptor) => descriptor.digest === digest)) ??
        (await findByName(files, index, ref)));
  if (found === undefined) {
    throw new CommandError(`${files.title} has no image "${ref}"`, {
      hint: index.length === 0 ? 'It contains no image.' : `It has: ${names(index)}.`,
    });
  }
  return found;
}

/** Finds an image by its annotation: in the index, then in nested indexes (image-layout.md allows nesting). */
async function findByName(
  files: LayoutFiles,
  index: readonly Descriptor[],
  ref: string,
  seen = new Set<Digest>(),
): Promise<Descriptor | undefined> {
  const here = index.find(({ annotations }) => annotations?.[REF_NAME] === ref);
  if (here !== undefined) return here;
  for (const { mediaType, digest } of index) {
    const form = formOfMediaType(mediaType);
    if ((form !== 'oci-index' && form !== 'docker-list') || seen.has(digest)) continue;
    seen.add(digest);
    const bytes = await files.read(pathOf(digest));
    const links = bytes === null ? null : readLinks(bytes);
    const found = links === null ? undefined : await findByName(files, links.children, ref, seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether a manifest belongs to another one: by a fallback or cosign tag, or by its artifact type. */
function isReferrer({ annotations, artifactType }: Descriptor): boolean {
  return artifactType !== undefined || /^sha(?:256|512)-[0-9a-f]+(?:\.\w+)?$/.test(annotations?.[REF_NAME] ?? '');
}

function names(index: readonly Descriptor[]): string {
  const shown = index.slice(0, 10).map(({ annotations, digest }) => annotations?.[REF_NAME] ?? digest);
  return `${shown.join(', ')}${index.length > shown.length ? ' …' : ''}`;
}

async function manifestOf(files: LayoutFiles, digest: Digest, mediaType?: string): Promise<SourceManifest | null> {
  const bytes = await files.read(pathOf(digest));
  return bytes === null
    ? null
    : { bytes, digest, ...(mediaType === undefined || mediaType === '' ? {} : { mediaType }) };
}

/** Subject → its referrers among the manifests of `index.json`, by `subject` or by fallback tag (`sha256-<hex>`). */
async function referrersOf(
  files: LayoutFiles,
  index: readonly Descriptor[],
): Promise<ReadonlyMap<Digest, readonly Descriptor[]>> {
  const found = new Map<Digest, Map<Digest, Descriptor>>();
  const add = (subject: Digest, descriptor: Descriptor): void => {
    const known = found.get(subject) ?? new Map<Digest, Descriptor>();
    found.set(subject, known);
    if (!known.has(descriptor.digest)) known.set(descriptor.digest, descriptor);
  };
  for (const descriptor of index) {
    if (descriptor.size > MANIFEST_MAX_BYTES) continue;
    const bytes = await files.read(pathOf(descriptor.digest));
    const links = bytes === null ? null : readLinks(bytes);
    if (links?.subject !== undefined) add(links.subject, descriptor);
    const fallback = /^(sha256|sha512)-([0-9a-f]+)$/.exec(descriptor.annotations?.[REF_NAME] ?? '');
    const subject = fallback === null ? null : parseDigest(`${fallback[1] ?? ''}:${fallback[2] ?? ''}`);
    if (subject !== null) for (const child of links?.children ?? []) add(subject, child);
  }
  return new Map([...found].map(([subject, descriptors]) => [subject, [...descriptors.values()]]));
}

function pathOf(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}
