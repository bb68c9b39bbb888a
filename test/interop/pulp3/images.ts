/** The images of the matrix in Pulp, and what each is once the edge has them: what was given to Pulp, byte for byte. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FORMS, MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import {
  type ImageKind,
  makeSource,
  type PublishedForm,
  type PublishedImage,
  publishedImage,
  type Source,
} from '../matrix/images.ts';
import { get } from '../origin-edge.ts';
import { must } from '../programs.ts';
import { addSynced, push } from './content.ts';
import type { Pulp } from './pulp.ts';

/** An image that Pulp has. */
export interface PulpImage {
  readonly kind: ImageKind;
  readonly source: Source;
}

/**
 * Makes images below `folder` and brings them into Pulp: by pushes, and schema 1, which Pulp lets nobody push, by
 * syncing it from a docker-registry.
 */
export async function fillPulp(pulp: Pulp, folder: string, kinds: readonly ImageKind[]): Promise<readonly PulpImage[]> {
  const images: PulpImage[] = [];
  for (const kind of kinds) {
    const source = await makeSource(join(folder, kind), kind);
    if (source.signed === undefined)
      for (const tag of source.tags) await push(pulp, source.source, `${source.name}:${tag}`);
    images.push({ kind, source: source.signed === undefined ? source : await syncSchema1(pulp, folder, source) });
  }
  return images;
}

/** A docker-registry signs schema 1 anew whenever it is asked, so what counts is what Pulp got. */
async function syncSchema1(pulp: Pulp, folder: string, source: Source): Promise<Source> {
  const peer = await startDockerRegistry(join(folder, 'schema1-registry'));
  const kept = join(folder, 'schema1-from-pulp');
  try {
    const there = `docker://${peer.host}/${source.name}:1.0`;
    await must('skopeo', [
      'copy',
      '--quiet',
      '--format',
      'v2s1',
      '--dest-tls-verify=false',
      `dir:${join(folder, source.name.split('/')[1] ?? '')}`,
      there,
    ]);
    await addSynced(pulp, source.name, { url: `http://${peer.host}`, name: source.name });
  } finally {
    await peer.close();
  }
  await must('skopeo', [
    'copy',
    '--quiet',
    '--src-tls-verify=false',
    `docker://${pulp.host}/${source.name}:1.0`,
    `dir:${kept}`,
  ]);
  const bytes = await readFile(join(kept, 'manifest.json'));
  const { fsLayers } = JSON.parse(bytes.toString()) as { fsLayers: unknown[] };
  if (fsLayers.length === 0) throw new Error('Pulp gave a schema 1 without layers');
  return { ...source, signed: { form: 'docker-schema1', digest: await digestAtPulp(pulp, source.name), bytes } };
}

/** The digest that Pulp tells of the tag: of a schema 1 that of its payload. */
async function digestAtPulp(pulp: Pulp, name: string): Promise<string> {
  const got = await get(`${pulp.openUrl}/v2/${name}/manifests/1.0`, { method: 'HEAD', headers: { accept: '*/*' } });
  return String(got.headers['docker-content-digest']);
}

/**
 * What clients are to find at the edge `url` under `<prefix><name>`: asks for each form, so that the edge has fetched
 * the image after that.
 */
export async function imageAtEdge(url: string, prefix: string, { kind, source }: PulpImage): Promise<PublishedImage> {
  const name = `${prefix}${source.name}`;
  const forms: PublishedForm[] = [];
  for (const form of FORMS) {
    const got = await get(`${url}/v2/${name}/manifests/${source.tags[0]}`, {
      headers: { accept: MEDIA_TYPE_OF_FORM[form] },
    });
    if (got.status !== 200) continue;
    const digest = String(got.headers['docker-content-digest']);
    forms.push({ form, digest, isPublished: source.blobs.has(digest) || digest === source.signed?.digest });
  }
  return { ...publishedImage(kind, { ...source, name }, forms), hasCopies: false };
}
