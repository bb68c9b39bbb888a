/** The images of the matrix, made, published, and remembered byte for byte. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Limit, limitsOf } from '../../../src/manifest/clients/limits.ts';
import { payloadOf } from '../../../src/manifest/signing/jws.ts';
import { FORMS, type Form, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../../src/registry/media-type.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { gantry, must } from '../programs.ts';
import {
  type Blobs,
  bytesOf,
  type Described,
  digestOf,
  type Entry,
  greetingLayer,
  type MadeImage,
  makeAttestation,
  makeImage,
  makeList,
  noiseLayer,
  opaqueLayers,
  ordinaryLayers,
  programLayer,
  smallLayers,
  writeDir,
  writeLayout,
} from './layout.ts';
import type { Tree } from './tree.ts';

/** One manifest that a tag has after publishing, as `gantry publish --json` told. */
export interface PublishedForm {
  readonly form: Form;
  readonly digest: string;
  readonly isPublished: boolean;
  /** `linux/amd64`, on a manifest that serves one platform of a list. */
  readonly platform?: string;
}

/** An image of the matrix, as it lies in the registry. */
export interface PublishedImage {
  /** What the matrix calls it: a key of {@link IMAGES}. */
  readonly kind: ImageKind;
  readonly name: string;
  readonly tags: readonly string[];
  readonly forms: readonly PublishedForm[];
  /** What was published: its form, and the bytes as they were given. */
  readonly root: { readonly form: Form; readonly digest: string; readonly bytes: Uint8Array };
  /** The manifest of linux/amd64 that a client of today ends up with; for schema 1 alone that is a derived one. */
  readonly manifest: { readonly digest: string; readonly bytes?: Uint8Array };
  /** The config blob of that manifest; absent where it was derived. */
  readonly config?: string;
  /** Its layers, base first. */
  readonly layers: readonly string[];
  /** Whether an engine before 1.10 gets copies of layers. */
  readonly hasCopies: boolean;
  /** Whether layers have zstd compression. */
  readonly hasZstd: boolean;
  readonly tree: Tree;
  readonly greeting: string;
  /** Everything that was given, by digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/** What each image is for. */
export const IMAGES = {
  schema2: 'Docker schema 2, three layers with files of every kind',
  oci: 'OCI manifest, the same files',
  zstd: 'OCI manifest with zstd layers, published with --recompress',
  list: 'Docker manifest list of three platforms',
  index: 'OCI index of two platforms, with attestations',
  schema1: 'schema 1 alone, as skopeo pushes it to docker-registry and takes it from there',
  large: 'a layer of 64 MB',
  many: '120 layers',
  'docker-zstd':
    'schema 2 with zstd layers under Docker’s own type, as BuildKit writes it, published with --recompress',
  mixed: 'schema 2 with OCI layer types, as BuildKit writes it',
  opaque: 'a layer that hides a folder’s files by an opaque whiteout',
  rewritten: 'the same, published with --rewrite-opaque',
  odd: 'a name with every separator, a tag of 128 characters',
} as const satisfies Record<string, string>;

/**
 * Images with layer types that the specification of their manifest does not have, so that some registries refuse them.
 */
export const NONSTANDARD = ['docker-zstd', 'mixed'] as const satisfies readonly (keyof typeof IMAGES)[];

/** The limits of clients that keep them from using the published form of an image. */
const HINDERED_BY: Partial<Record<keyof typeof IMAGES, readonly Limit[]>> = {
  zstd: ['zstd'],
  'docker-zstd': ['zstd', 'docker-zstd'],
  mixed: ['oci-in-docker'],
};

/** A key of {@link IMAGES}. */
export type ImageKind = keyof typeof IMAGES;

const LARGE = 64_000_000;
const MANY = 120;
const ODD_TAG = `_Az.0-${'long_'.repeat(30)}`.slice(0, 128);

const ARM64 = { os: 'linux', architecture: 'arm64', variant: 'v8' } as const;
const ARM = { os: 'linux', architecture: 'arm', variant: 'v7' } as const;

/**
 * Where images are made and published: a folder for their sources, the state folder of the registry, the environment
 * with the signing key.
 */
export interface Workshop {
  readonly folder: string;
  readonly state: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Makes and publishes one image. Throws with what the publisher said. */
export async function publishImage(workshop: Workshop, kind: ImageKind): Promise<PublishedImage> {
  const made = await makeSource(join(workshop.folder, kind), kind);
  const { name, tags, source, args = [] } = made;
  const forms = [];
  for (const tag of tags) forms.push(await publishForms(workshop, source, `${name}:${tag}`, args));
  const [ofFirst = []] = forms;
  return publishedImage(kind, made, ofFirst);
}

/** What was made, with the forms that its first tag has in a registry. */
export function publishedImage(kind: ImageKind, made: Source, forms: readonly PublishedForm[]): PublishedImage {
  const { name, tags, root, image, blobs, signed } = made;
  const derived = forms.find(({ form }) => form === 'docker-schema2');
  const alone = signed === undefined ? undefined : { digest: derived?.digest ?? '' };
  return {
    kind,
    name,
    tags,
    forms,
    root: signed ?? { form: formOf(root), digest: root.digest, bytes: bytesOf(blobs, root.digest) },
    manifest: alone ?? { digest: image.manifest.digest, bytes: image.manifestBytes },
    ...(alone === undefined && { config: image.config.digest }),
    layers: image.layers.map(({ digest }) => digest),
    hasCopies: kind === 'zstd' || kind === 'docker-zstd' || kind === 'rewritten',
    hasZstd: kind === 'zstd' || kind === 'docker-zstd',
    tree: image.tree,
    greeting: greetingOf(kind),
    blobs,
  };
}

/**
 * The image as a client is to pull it: the published form, or the derived one where the client cannot use that. Its
 * manifest is read by digest from the registry at `host`.
 */
export async function asPulledBy(image: PublishedImage, userAgent: string, host: string): Promise<PublishedImage> {
  const limits = limitsOf(userAgent);
  if (HINDERED_BY[image.kind]?.some((limit) => limits.includes(limit)) !== true) return image;
  const derived = image.forms.filter(({ isPublished }) => !isPublished);
  const chosen =
    derived.find(({ form }) => form === 'docker-schema2') ?? derived.find(({ form }) => form === 'oci-manifest');
  if (chosen === undefined) throw new Error(`${image.kind} has no form for ${userAgent}`);
  const answer = await fetch(`http://${host}/v2/${image.name}/manifests/${chosen.digest}`, {
    headers: { accept: MEDIA_TYPE_OF_FORM[chosen.form] },
  });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const { layers } = JSON.parse(new TextDecoder().decode(bytes)) as { layers: { digest: string; mediaType: string }[] };
  return {
    ...image,
    forms: derived,
    root: { form: chosen.form, digest: chosen.digest, bytes },
    manifest: { digest: chosen.digest, bytes },
    layers: layers.map(({ digest }) => digest),
    hasZstd: layers.some(({ mediaType }) => mediaType.endsWith('zstd')),
  };
}

/** Publishes and gives the forms that the tag has then. Throws with what the publisher said. */
export async function publishForms(
  { state, env }: Pick<Workshop, 'state' | 'env'>,
  source: string,
  image: string,
  args: readonly string[] = [],
): Promise<readonly PublishedForm[]> {
  const { code, stdout, stderr } = await gantry(['publish', source, image, '--state', state, '--json', ...args], {
    env,
  });
  if (code !== 0) throw new Error(`gantry publish ${source} ${image} ended with ${String(code)}:\n${stderr}`);
  // One event a line; the last is the result.
  const { forms } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as {
    forms: {
      form: Form;
      digest: string;
      source: { kind: string };
      platform?: { os: string; architecture: string; variant?: string };
    }[];
  };
  return forms.map(({ form, digest, source: { kind }, platform }) => ({
    form,
    digest,
    isPublished: kind === 'published',
    ...(platform !== undefined && {
      platform: [
        platform.os,
        platform.architecture,
        ...(platform.variant === undefined ? [] : [platform.variant]),
      ].join('/'),
    }),
  }));
}

/** An image that was made, and is not in a registry yet. */
export interface Source {
  readonly name: string;
  readonly tags: readonly [string, ...string[]];
  /** As `gantry publish` takes it. */
  readonly source: string;
  readonly args?: readonly string[];
  readonly blobs: Blobs;
  readonly root: Described;
  /** The image for linux/amd64. */
  readonly image: MadeImage;
  /** Where what is published is a schema 1 made from that image. */
  readonly signed?: PublishedImage['root'];
}

/** Makes one image below `folder`. */
export async function makeSource(folder: string, kind: ImageKind): Promise<Source> {
  const greeting = greetingOf(kind);
  const blobs: Blobs = new Map();
  const name = `matrix/${kind}`;
  const ordinary = await ordinaryLayers(greeting);
  const single = { name, tags: ['1.0'] as const, blobs };
  const small = async (platform: Parameters<typeof makeImage>[3], flavour: 'docker' | 'oci'): Promise<MadeImage> =>
    makeImage(
      blobs,
      flavour,
      [await programLayer(), greetingLayer(`${greeting} ${String(platform?.architecture)}`)],
      platform,
    );
  const dockerImage = async (
    layers: readonly (readonly Entry[])[],
  ): Promise<Pick<Source, 'root' | 'image' | 'source'>> => {
    const image = await makeImage(blobs, 'docker', layers);
    return { root: image.manifest, image, source: await writeDir(folder, blobs, image.manifest) };
  };
  const ociImage = async (flavour: 'oci' | 'oci-zstd'): Promise<Pick<Source, 'root' | 'image' | 'source'>> => {
    const image = await makeImage(blobs, flavour, ordinary);
    return { root: image.manifest, image, source: await writeLayout(folder, blobs, image.manifest) };
  };
  /** A schema 2 whose layer types are not in its specification. */
  const nonstandardImage = async (
    flavour: 'oci' | 'oci-zstd',
    layerType: string,
  ): Promise<Pick<Source, 'root' | 'image' | 'source'>> => {
    const made = await makeImage(blobs, flavour, ordinary);
    blobs.delete(made.manifest.digest);
    const mediaType = MEDIA_TYPE_OF_FORM['docker-schema2'];
    const layers = made.layers.map((one) => ({ ...one, mediaType: layerType }));
    const config = { ...made.config, mediaType: MEDIA_TYPES.dockerConfig };
    const manifestBytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
    const manifest = { mediaType, digest: digestOf(manifestBytes), size: manifestBytes.length };
    blobs.set(manifest.digest, manifestBytes);
    const image = { ...made, manifest, manifestBytes, config, layers };
    return { root: manifest, image, source: await writeDir(folder, blobs, manifest) };
  };
  switch (kind) {
    case 'schema2':
      return { ...single, tags: ['1.0', 'latest'], ...(await dockerImage(ordinary)) };
    case 'oci':
      return { ...single, ...(await ociImage('oci')) };
    case 'zstd':
      return { ...single, ...(await ociImage('oci-zstd')), args: ['--recompress'] };
    case 'list': {
      const image = await makeImage(blobs, 'docker', ordinary);
      const children = [image.manifest, (await small(ARM64, 'docker')).manifest, (await small(ARM, 'docker')).manifest];
      const root = makeList(blobs, MEDIA_TYPE_OF_FORM['docker-list'], children);
      return { ...single, root, image, source: await writeDir(folder, blobs, root, children) };
    }
    case 'index': {
      const image = await makeImage(blobs, 'oci', ordinary);
      const children = [image.manifest, (await small(ARM64, 'oci')).manifest];
      const root = makeList(blobs, MEDIA_TYPE_OF_FORM['oci-index'], [
        ...children,
        ...children.map((child) => makeAttestation(blobs, child)),
      ]);
      return { ...single, root, image, source: await writeLayout(folder, blobs, root) };
    }
    case 'schema1': {
      const made = await dockerImage(ordinary);
      const peer = await startDockerRegistry(join(folder, 'peer'));
      const there = `docker://${peer.host}/${name}:1.0`;
      const source = `dir:${join(folder, 'signed')}`;
      try {
        await must('skopeo', ['copy', '--format', 'v2s1', '--dest-tls-verify=false', made.source, there]);
        // It signs anew whenever it is asked, so what counts is what it said once.
        await must('skopeo', ['copy', '--src-tls-verify=false', there, source]);
      } finally {
        await peer.close();
      }
      const bytes = await readFile(join(folder, 'signed', 'manifest.json'));
      return {
        ...single,
        ...made,
        source,
        signed: { form: 'docker-schema1', digest: digestOf(payloadOf(bytes)), bytes },
      };
    }
    case 'large':
      return {
        ...single,
        ...(await dockerImage([await programLayer(), noiseLayer('large', LARGE), greetingLayer(greeting)])),
      };
    case 'many':
      return { ...single, ...(await dockerImage([...smallLayers(MANY - 1), greetingLayer(greeting)])) };
    case 'docker-zstd':
      return {
        ...single,
        ...(await nonstandardImage('oci-zstd', MEDIA_TYPES.dockerLayerZstd)),
        args: ['--recompress'],
      };
    case 'mixed':
      return { ...single, ...(await nonstandardImage('oci', MEDIA_TYPES.ociLayerGzip)) };
    case 'opaque':
    case 'rewritten':
      return {
        ...single,
        ...(await dockerImage(await opaqueLayers(greeting))),
        args: kind === 'rewritten' ? ['--rewrite-opaque'] : [],
      };
    case 'odd':
      return {
        ...single,
        name: 'matrix/a.b/c_d__e/f--g/0/x-1',
        tags: [ODD_TAG, '0'],
        ...(await dockerImage(ordinary)),
      };
  }
}

function greetingOf(kind: ImageKind): string {
  return `hello from ${kind}`;
}

function formOf({ mediaType }: Described): Form {
  const form = FORMS.find((one) => MEDIA_TYPE_OF_FORM[one] === mediaType);
  if (form === undefined) throw new Error(`${mediaType} is no form`);
  return form;
}
