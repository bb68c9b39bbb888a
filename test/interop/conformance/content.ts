/** What a repository holds: the read-only suites look for exactly this. */
import { FORMS, MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import type { Endpoint } from './run-suite.ts';

/** The content of a repository, as far as its tags lead to it. Lists are sorted. */
export interface Content {
  readonly repository: string;
  readonly tags: readonly string[];
  /** Digests of manifests: of the tags, and of the children of lists. */
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
  /** Digests that are the `subject` of a manifest here. */
  readonly subjects: readonly string[];
  /** An OCI manifest of an image, for a suite that takes one: its tag, its digest, one of its blobs. */
  readonly image: { readonly tag: string; readonly manifest: string; readonly blob: string };
}

interface Descriptor {
  readonly digest: string;
}

interface Manifest {
  readonly config?: Descriptor;
  readonly layers?: readonly (Descriptor & { readonly urls?: readonly string[] })[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
}

const ACCEPT = FORMS.map((form) => MEDIA_TYPE_OF_FORM[form]).join(', ');

/** Walks a repository from its tags. Blobs that the registry does not have (foreign layers) are left out. */
export async function readContent(endpoint: Endpoint, repository: string): Promise<Content> {
  const { tags } = (await (await get(endpoint, `/v2/${repository}/tags/list`)).json()) as { tags: readonly string[] };
  const manifests = new Set<string>();
  const blobs = new Set<string>();
  const subjects = new Set<string>();
  let image: Content['image'] | undefined;
  for (const tag of [...tags].sort()) {
    const waiting = [tag];
    for (let reference = waiting.pop(); reference !== undefined; reference = waiting.pop()) {
      const response = await get(endpoint, `/v2/${repository}/manifests/${reference}`);
      const digest = response.headers.get('docker-content-digest') ?? '';
      const manifest = (await response.json()) as Manifest;
      manifests.add(digest);
      if (manifest.subject !== undefined) subjects.add(manifest.subject.digest);
      for (const child of manifest.manifests ?? []) waiting.push(child.digest);
      const own = [...(manifest.config === undefined ? [] : [manifest.config]), ...(manifest.layers ?? [])];
      for (const blob of own) if (await has(endpoint, repository, blob.digest)) blobs.add(blob.digest);
      const type = response.headers.get('content-type');
      if (reference === tag && type === MEDIA_TYPE_OF_FORM['oci-manifest'] && own[0] !== undefined)
        image ??= { tag, manifest: digest, blob: own[0].digest };
    }
  }
  if (image === undefined) throw new Error(`${repository} has no tag with an OCI manifest, which the suites need.`);
  const sorted = (values: Iterable<string>): readonly string[] => [...values].sort();
  return {
    repository,
    tags: sorted(tags),
    manifests: sorted(manifests),
    blobs: sorted(blobs),
    subjects: sorted(subjects),
    image,
  };
}

async function get(endpoint: Endpoint, path: string): Promise<Response> {
  const response = await fetch(`${endpoint.url}${path}`, { headers: { accept: ACCEPT, ...authorization(endpoint) } });
  if (response.ok) return response;
  throw new Error(`${endpoint.url}${path}: status ${String(response.status)}\n${await response.text()}`);
}

async function has(endpoint: Endpoint, repository: string, digest: string): Promise<boolean> {
  const url = `${endpoint.url}/v2/${repository}/blobs/${digest}`;
  return (await fetch(url, { method: 'HEAD', headers: authorization(endpoint) })).ok;
}

function authorization({ login }: Endpoint): Record<string, string> {
  if (login === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}` };
}
