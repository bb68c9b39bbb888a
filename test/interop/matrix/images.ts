/** The images of the matrix, made, published, and remembered byte for byte. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { payloadOf } from '../../../src/manifest/signing/jws.ts';
import { FORMS, type Form, MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
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
  /** The layers as an engine before 1.10 gets them; absent where these are the same. */
  readonly hasCopies: boolean;
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
  opaque: 'a layer that hides a folder’s files by an opaque whiteout',
  odd: 'a name with every separator, a tag of 128 characters',
} as const satisfies Record<string, string>;

/** A key of {@link IMAGES}. */
export type ImageKind = keyof typeof IMAGES;

const LARGE = 64_000_000;
const MANY = 120;
const ODD_TAG = `_Az.0-${'long_'.repeat(30)}`.slice(0, 128);

const ARM64 = { os: 'linux', architecture: 'arm64', variant: 'v8' } as const;
const ARM = { os: 'linux', architecture: 'arm', variant: 'v7' } as const;

/** Where images are made and published: a folder for their sources, the state folder of the registry, the environment with the signing key. */
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
    hasCopies: kind === 'zstd',
    tree: image.tree,
    greeting: greetingOf(kind),
    blobs,
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
    case 'opaque':
      return { ...single, ...(await dockerImage(await opaqueLayers(greeting))) };
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
