/**
 * Images made by hand, in every form that a publisher may bring: real filesystems in deterministic layers, with the
 * program that can run them.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../../src/registry/media-type.ts';
import { type Tree, treeOfLayers } from './tree.ts';

/** How the layers are packed, and with whose names. */
export type Flavour = 'docker' | 'oci' | 'oci-zstd';

/** A manifest or blob, and what it is called. `size` in bytes. */
export interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** One file of a layer. */
export type Entry = Partial<Header> & Pick<Header, 'name'> & { readonly content?: Uint8Array };

/** An image for one platform. */
export interface MadeImage {
  readonly manifest: Described;
  readonly manifestBytes: Buffer;
  readonly config: Described;
  readonly layers: readonly Described[];
  readonly tree: Tree;
}

/** Where blobs and manifests go, by digest. */
export type Blobs = Map<string, Buffer>;

const NAMES = {
  docker: {
    manifest: MEDIA_TYPE_OF_FORM['docker-schema2'],
    config: MEDIA_TYPES.dockerConfig,
    layer: MEDIA_TYPES.dockerLayerGzip,
  },
  oci: { manifest: MEDIA_TYPE_OF_FORM['oci-manifest'], config: MEDIA_TYPES.ociConfig, layer: MEDIA_TYPES.ociLayerGzip },
  'oci-zstd': {
    manifest: MEDIA_TYPE_OF_FORM['oci-manifest'],
    config: MEDIA_TYPES.ociConfig,
    layer: MEDIA_TYPES.ociLayerZstd,
  },
} as const satisfies Record<Flavour, unknown>;

const TIME = new Date('2026-02-03T04:05:06Z');

/**
 * Makes an image of these layers (base first) that greets with `text` when it runs; an entry of `history` without a
 * layer stands after each.
 */
export async function makeImage(
  blobs: Blobs,
  flavour: Flavour,
  layers: readonly (readonly Entry[])[],
  platform: { readonly os: string; readonly architecture: string; readonly variant?: string } = {
    os: 'linux',
    architecture: 'amd64',
  },
): Promise<MadeImage> {
  const names = NAMES[flavour];
  const tars = [];
  for (const entries of layers) tars.push(await tarOf(entries));
  const packed = tars.map((tar) =>
    put(blobs, names.layer, flavour === 'oci-zstd' ? zstdCompressSync(tar) : gzipSync(tar, { level: 1 })),
  );
  const created = TIME.toISOString();
  const config = putJson(blobs, names.config, {
    created,
    ...platform,
    config: {
      Env: ['PATH=/bin'],
      Cmd: ['/bin/busybox', 'cat', '/data/greeting'],
      Labels: { made: 'for <interop> & "proof"' },
    },
    rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
    history: [
      ...tars.map((_, index) => ({ created, created_by: `COPY layer-${String(index)} / # buildkit` })),
      { created, created_by: 'CMD ["/bin/busybox" "cat" "/data/greeting"]', empty_layer: true },
    ],
  });
  const manifest = putJson(blobs, names.manifest, {
    schemaVersion: 2,
    mediaType: names.manifest,
    config,
    layers: packed,
  });
  return {
    manifest: { ...manifest, platform },
    manifestBytes: bytesOf(blobs, manifest.digest),
    config,
    layers: packed,
    tree: await treeOfLayers(tars.map((tar) => Readable.from([tar]))),
  };
}

/** A list or index of images. */
export function makeList(blobs: Blobs, mediaType: string, manifests: readonly Described[]): Described {
  return putJson(blobs, mediaType, { schemaVersion: 2, mediaType, manifests });
}

/**
 * What BuildKit adds to an index for an image: a manifest without a platform that carries an in-toto statement about
 * it.
 */
export function makeAttestation(blobs: Blobs, subject: Described): Described {
  const statement = {
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'https://slsa.dev/provenance/v0.2',
    subject: [],
    predicate: {},
  };
  const layer = {
    ...putJson(blobs, 'application/vnd.in-toto+json', statement),
    annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' },
  };
  const config = putJson(blobs, MEDIA_TYPES.ociConfig, {
    architecture: 'unknown',
    os: 'unknown',
    config: {},
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const mediaType = MEDIA_TYPE_OF_FORM['oci-manifest'];
  return {
    ...putJson(blobs, mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] }),
    platform: { architecture: 'unknown', os: 'unknown' },
    annotations: { 'vnd.docker.reference.digest': subject.digest, 'vnd.docker.reference.type': 'attestation-manifest' },
  };
}

/** Writes an OCI layout with `root` as its tag `latest`. Gives the source as the publisher and skopeo name it. */
export async function writeLayout(folder: string, blobs: Blobs, root: Described): Promise<string> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
  for (const [digest, bytes] of blobs)
    await writeFile(join(folder, 'blobs', 'sha256', digest.slice('sha256:'.length)), bytes);
  const manifests = [{ ...root, annotations: { 'org.opencontainers.image.ref.name': 'latest' } }];
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return `oci:${folder}:latest`;
}

/**
 * Writes what `skopeo copy --all … dir:` would: `manifest.json`, children of a list as `<hex>.manifest.json`, blobs by
 * their hex digest.
 */
export async function writeDir(
  folder: string,
  blobs: Blobs,
  root: Described,
  children: readonly Described[] = [],
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'version'), 'Directory Transport Version: 1.1\n');
  for (const [digest, bytes] of blobs) {
    const hex = digest.slice('sha256:'.length);
    const isChild = children.some((child) => child.digest === digest);
    await writeFile(
      join(folder, digest === root.digest ? 'manifest.json' : isChild ? `${hex}.manifest.json` : hex),
      bytes,
    );
  }
  return `dir:${folder}`;
}

/** The layers of an ordinary image: a program, files of every kind, and one that hides and replaces files below. */
export async function ordinaryLayers(greeting: string): Promise<readonly (readonly Entry[])[]> {
  const longName = `data/${'a-long-folder-name-'.repeat(5)}/${'and-a-file-name-that-needs-a-pax-header-'.repeat(4)}`;
  return [
    await programLayer(),
    [
      folder('data'),
      folder('data/old'),
      folder('data/kept', 0o1777),
      file('data/old/one', 'one'),
      file('data/old/two', 'two'),
      file('data/gone', 'hidden by the next layer'),
      file('data/replaced', 'before'),
      file('data/naïve-❄.txt', 'a name beyond ASCII'),
      folder(`data/${'a-long-folder-name-'.repeat(5)}`),
      file(longName, 'found by its whole name'),
      { ...file('data/suid', '#!/bin/busybox true\n'), mode: 0o4755, uid: 12, gid: 34 },
      { name: 'data/link', type: 'symlink', linkname: '../bin/busybox', mtime: TIME },
      { name: 'data/hard', type: 'link', linkname: 'data/replaced', mtime: TIME },
      file('data/empty', ''),
    ],
    [
      folder('data'),
      folder('data/old'),
      file('data/old/.wh.one', ''),
      file('data/old/.wh.two', ''),
      file('data/old/three', 'three'),
      file('data/.wh.gone', ''),
      file('data/replaced', 'after'),
      file('data/greeting', `${greeting}\n`),
    ],
  ];
}

/** Layers of which the last hides all that its folder had below, by an opaque whiteout. */
export async function opaqueLayers(greeting: string): Promise<readonly (readonly Entry[])[]> {
  return [
    await programLayer(),
    [folder('data'), folder('data/old'), file('data/old/one', 'one'), file('data/old/two', 'two')],
    [
      folder('data'),
      folder('data/old'),
      file('data/old/.wh..wh..opq', ''),
      file('data/old/three', 'three'),
      file('data/greeting', `${greeting}\n`),
    ],
  ];
}

/** The base of every image: a static program. */
export async function programLayer(): Promise<readonly Entry[]> {
  return [folder('bin'), { ...file('bin/busybox', await readFile('/bin/busybox')), mode: 0o755 }];
}

/** One layer with `size` bytes that do not compress. */
export function noiseLayer(name: string, size: number): readonly Entry[] {
  return [folder('data'), file(`data/${name}`, noise(name, size))];
}

/** `count` layers of one small file each. */
export function smallLayers(count: number): readonly (readonly Entry[])[] {
  return Array.from({ length: count }, (_, index) => [
    folder('layers'),
    file(`layers/${String(index)}`, `layer ${String(index)}\n`),
  ]);
}

/** A layer with what the image prints when it runs. */
export function greetingLayer(greeting: string): readonly Entry[] {
  return [folder('data'), file('data/greeting', `${greeting}\n`)];
}

/** The digest of bytes, as registries write it. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** What lies under a digest. */
export function bytesOf(blobs: Blobs, digest: string): Buffer {
  const bytes = blobs.get(digest);
  if (bytes === undefined) throw new Error(`nothing has the digest ${digest}`);
  return bytes;
}

function put(blobs: Blobs, mediaType: string, bytes: Buffer): Described {
  const digest = digestOf(bytes);
  blobs.set(digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

function putJson(blobs: Blobs, mediaType: string, value: unknown): Described {
  return put(blobs, mediaType, Buffer.from(JSON.stringify(value)));
}

function folder(name: string, mode = 0o755): Entry {
  return { name: `${name}/`, type: 'directory', mode, mtime: TIME };
}

function file(name: string, content: string | Uint8Array): Entry {
  return { name, type: 'file', mode: 0o644, mtime: TIME, content: Buffer.from(content) };
}

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  const chunks: Buffer[] = [];
  tar.on('data', (chunk: unknown) => chunks.push(chunk as Buffer));
  const ended = once(tar, 'end');
  for (const { content, ...header } of entries) {
    if (content === undefined) tar.entry(header);
    else tar.entry(header, Buffer.from(content));
  }
  tar.finalize();
  await ended;
  return Buffer.concat(chunks);
}

/** Bytes that do not compress and are always the same for a seed. */
function noise(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}
