/** A tree as Pulp 2's docker web distributor publishes it, with symlinks into a content store; and small images to put into it. */
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { buildSchema1 } from '../../src/manifest/schema1.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { type Form, MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../src/registry/media-type.ts';
import { payloadOf } from '../../src/manifest/signing/jws.ts';
import { digestOf } from './gc-bucket.ts';

/** A manifest with all that it needs. */
export interface TestImage {
  readonly schema2: Uint8Array;
  readonly config: Uint8Array;
  readonly layer: Uint8Array;
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const signer = createSigner(newKey());

/** An image of one layer, different for each text. */
export function makeImage(text: string, architecture = 'amd64'): TestImage {
  const tar = Buffer.alloc(Math.max(2048, text.length), text);
  const layer = gzipSync(tar);
  const config = json({
    architecture,
    os: 'linux',
    created: '2017-03-01T12:00:00Z',
    config: { Cmd: [text] },
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    history: [{ created: '2017-03-01T12:00:00Z', created_by: text }],
  });
  const schema2 = json({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
    config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.length, digest: digestOf(config) },
    layers: [{ mediaType: MEDIA_TYPES.dockerLayerGzip, size: layer.length, digest: digestOf(layer) }],
  });
  return { schema2, config, layer };
}

/** The image's schema 1, signed: what the registry that Pulp synced from gave for the second question. */
export function schema1Of({ config, layer }: TestImage, name: string, tag: string): Uint8Array {
  const built = buildSchema1({ config, layers: [digestOf(layer)], name, tag }, 'strict');
  if (built.kind === 'refused') throw new Error(built.explanation);
  return signer.sign(built.payload, '2017-03-01T12:00:00Z');
}

/** A list of images by architecture. */
export function listOf(
  images: Readonly<Record<string, TestImage>>,
  form: Extract<Form, 'docker-list' | 'oci-index'> = 'docker-list',
): Uint8Array {
  return json({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM[form],
    manifests: Object.entries(images).map(([architecture, { schema2 }]) => ({
      mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
      size: schema2.length,
      digest: digestOf(schema2),
      platform: { os: 'linux', architecture },
    })),
  });
}

/** What is under one tag. */
export interface PulpTag {
  readonly schema1?: Uint8Array;
  readonly schema2?: Uint8Array;
  readonly list?: Uint8Array;
}

/** A repository to be published. */
export interface PulpContent {
  readonly id: string;
  readonly name: string;
  readonly version: 1 | 2 | 3 | 4;
  readonly isProtected?: boolean;
  readonly tags: Readonly<Record<string, PulpTag>>;
  readonly images?: readonly TestImage[];
}

/** Publishes into the tree: a new folder below `v2/master`, to which `v2/web` leads from then on. */
export async function publishInPulp(root: string, content: PulpContent): Promise<void> {
  const { id, version, tags, images = [] } = content;
  const store = join(root, 'content', id);
  const master = join(root, 'v2', 'master', id, '1488369600.25');
  await rm(master, { recursive: true, force: true });
  await mkdir(store, { recursive: true });
  const put = async (path: string, bytes: Uint8Array): Promise<void> => {
    const unit = join(store, digestOf(bytes).slice('sha256:'.length));
    await writeFile(unit, bytes);
    await mkdir(join(master, path, '..'), { recursive: true });
    await rm(join(master, path), { force: true });
    await symlink(unit, join(master, path));
  };
  const folder = (kind: string): string => (version === 2 ? 'manifests' : join('manifests', kind));
  for (const [tag, { schema1, schema2, list }] of Object.entries(tags)) {
    for (const [kind, bytes] of [
      ['1', schema1],
      ['2', schema2],
      ['list', list],
    ] as const) {
      if (bytes === undefined) continue;
      await put(join(folder(kind), tag), bytes);
      await put(join(folder(kind), digestOf(kind === '1' ? payloadOf(bytes) : bytes)), bytes);
    }
  }
  for (const { schema2, config, layer } of images) {
    if (version > 2) await put(join('manifests', '2', digestOf(schema2)), schema2);
    for (const blob of [config, layer]) await put(join('blobs', digestOf(blob)), blob);
  }
  await put('tags/list', json({ name: content.name, tags: Object.keys(tags).reverse() }));
  const named = (kind: keyof PulpTag): string[] =>
    Object.entries(tags).flatMap(([tag, forms]) => (forms[kind] === undefined ? [] : [tag]));
  await writeFile(
    join(master, `${id}.json`),
    json({
      type: 'pulp-docker-redirect',
      version,
      repository: id,
      'repo-registry-id': content.name,
      url: `https://pulp.example/pulp/docker/v2/${id}/`,
      protected: content.isProtected === true,
      ...(version >= 3 ? { schema2_data: named('schema2') } : {}),
      ...(version === 4 ? { manifest_list_data: named('list'), manifest_list_amd64_tags: {} } : {}),
    }),
  );
  for (const [link, target] of [
    [join(root, 'v2', 'web', id), master],
    [join(root, 'v2', 'app', `${id}.json`), join(master, `${id}.json`)],
  ] as const) {
    await mkdir(join(link, '..'), { recursive: true });
    await rm(link, { force: true });
    await symlink(target, link);
  }
}
