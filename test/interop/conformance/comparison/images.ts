/** The images of the interoperability matrix, with the same bytes in docker-registry and in Gantry. */
import { join } from 'node:path';
import { EMPTY_LAYER } from '../../../../src/manifest/schema1.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../../src/registry/media-type.ts';
import { type ImageKind, makeSource, publishForms, type Source } from '../../matrix/images.ts';
import { bytesOf } from '../../matrix/layout.ts';
import { gantryEnvironment, type StartedEndpoint } from '../endpoints.ts';

/** An image that both registries have. */
export interface ComparedImage {
  readonly kind: ImageKind;
  readonly name: string;
  readonly tag: string;
  /** Digests of the published manifests: the tag's own, then the children of a list. */
  readonly manifests: readonly string[];
  /** The schema 1 that Gantry has derived for linux/amd64, and docker-registry makes when it is asked. */
  readonly derivedSchema1: string | null;
  /** Null where what is published has none (schema 1). */
  readonly config: string | null;
  /** The last layer: a small one. */
  readonly layer: string;
}

/** Makes an image, pushes it into docker-registry as it is, and publishes it in Gantry. */
export async function placeImage(
  kind: ImageKind,
  folder: string,
  peer: StartedEndpoint,
  serve: StartedEndpoint,
): Promise<ComparedImage> {
  const source = await makeSource(join(folder, 'images', kind), kind);
  await push(peer, source);
  const workshop = { state: serve.state ?? '', env: gantryEnvironment(folder) };
  let derivedSchema1: string | null = null;
  for (const tag of source.tags) {
    const forms = await publishForms(workshop, source.source, `${source.name}:${tag}`, source.args);
    const derived = forms.find(
      ({ form, isPublished, platform = 'linux/amd64' }) =>
        form === 'docker-schema1' && !isPublished && platform === 'linux/amd64',
    );
    if (tag === source.tags[0]) derivedSchema1 = derived?.digest ?? null;
  }
  const root = source.signed?.digest ?? source.root.digest;
  return {
    kind,
    name: source.name,
    tag: source.tags[0],
    manifests: [root, ...childrenOf(source).map(({ digest }) => digest)],
    derivedSchema1,
    config: source.signed === undefined ? source.image.config.digest : null,
    layer: source.image.layers.at(-1)?.digest ?? '',
  };
}

interface Child {
  readonly mediaType: string;
  readonly digest: string;
}

function childrenOf({ root, blobs, signed }: Source): readonly Child[] {
  if (signed !== undefined) return [];
  return (JSON.parse(bytesOf(blobs, root.digest).toString()) as { manifests?: readonly Child[] }).manifests ?? [];
}

/** Pushes over HTTP, so that no client changes a byte on the way. */
async function push({ url }: StartedEndpoint, source: Source): Promise<void> {
  const base = `${url}/v2/${source.name}`;
  const manifests = new Set([source.root.digest, ...childrenOf(source).map(({ digest }) => digest)]);
  // Schema 1 names the empty layer for each step that has none.
  for (const [digest, bytes] of [...source.blobs, [EMPTY_LAYER.digest, EMPTY_LAYER.bytes] as const]) {
    if (manifests.has(digest)) continue;
    const begun = await must(`${base}/blobs/uploads/`, { method: 'POST' });
    const location = new URL(begun.headers.get('location') ?? '', url);
    location.searchParams.set('digest', digest);
    await must(location, {
      method: 'PUT',
      body: new Uint8Array(bytes),
      headers: { 'content-type': 'application/octet-stream' },
    });
  }
  const put = (reference: string, bytes: Uint8Array, mediaType: string): Promise<Response> =>
    must(`${base}/manifests/${reference}`, {
      method: 'PUT',
      body: new Uint8Array(bytes),
      headers: { 'content-type': mediaType },
    });
  for (const { digest, mediaType } of childrenOf(source)) await put(digest, bytesOf(source.blobs, digest), mediaType);
  const { signed, root } = source;
  for (const tag of source.tags) {
    if (signed === undefined) await put(tag, bytesOf(source.blobs, root.digest), root.mediaType);
    else await put(tag, signed.bytes, MEDIA_TYPE_OF_FORM['docker-schema1']);
  }
}

async function must(url: string | URL, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (response.ok) return response;
  throw new Error(
    `${init.method ?? 'GET'} ${String(url)}: status ${String(response.status)}\n${await response.text()}`,
  );
}
