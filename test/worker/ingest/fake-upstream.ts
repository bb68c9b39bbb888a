/** An upstream that is a table of answers, in the place of `fetch`: it has what it is given, and counts requests. */
import { vi } from 'vitest';
import { hash } from '../seed.ts';

export const TYPES = {
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  index: 'application/vnd.oci.image.index.v1+json',
} as const;

/** A document by its digest. */
export interface Stored {
  readonly digest: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The upstream, on a host of its own. */
export interface FakeUpstream {
  /** Path below the host → answer. */
  readonly answers: Map<string, () => Response | Promise<Response>>;
  /** Method and path of each request. */
  readonly requests: string[];
  /** Stores a manifest, under its digest and perhaps a tag. */
  manifest(name: string, mediaType: string, value: unknown, tag?: string): Promise<Stored>;
  blob(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Stored>;
  /** An image of one layer. */
  image(name: string, salt: string, tag?: string): Promise<Stored>;
}

const hosts = new Map<string, FakeUpstream>();

/** Takes the place of `fetch` until `vi.unstubAllGlobals`. */
export function stubFetch(): void {
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const { host, pathname, search } = new URL(url);
    const path = pathname + search;
    const upstream = hosts.get(host);
    upstream?.requests.push(`${init.method ?? 'GET'} ${path}`);
    const absent = (): Response => new Response('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', { status: 404 });
    const response = await (upstream?.answers.get(path) ?? absent)();
    return init.method === 'HEAD' ? new Response(null, response) : response;
  });
}

export const bytesOf = (value: unknown): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)));

/** An upstream without content. */
export function fakeUpstream(host: string): FakeUpstream {
  const answers: FakeUpstream['answers'] = new Map();
  const store = async (
    path: string,
    bytes: Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<Stored> => {
    const digest = await hash(bytes);
    const answer = (): Response =>
      new Response(bytes, { headers: { ...headers, 'content-length': String(bytes.length) } });
    answers.set(`${path}/${digest}`, answer);
    return { digest, bytes };
  };
  const upstream: FakeUpstream = {
    answers,
    requests: [],
    manifest: async (name, mediaType, value, tag) => {
      const path = `/v2/${name}/manifests`;
      const made = await store(path, bytesOf(value), { 'content-type': mediaType });
      const answer = answers.get(`${path}/${made.digest}`);
      if (tag !== undefined && answer !== undefined) answers.set(`${path}/${tag}`, answer);
      return made;
    },
    blob: (name, bytes) => store(`/v2/${name}/blobs`, bytes),
    image: async (name, salt, tag) => {
      const layer = await upstream.blob(name, bytesOf(`layer ${salt}`));
      const config = await upstream.blob(
        name,
        bytesOf({
          architecture: 'amd64',
          os: 'linux',
          created: '2026-01-01T00:00:00Z',
          config: { Labels: { salt } },
          rootfs: { type: 'layers', diff_ids: [layer.digest] },
          history: [{ created: '2026-01-01T00:00:00Z', created_by: 'a test' }],
        }),
      );
      return upstream.manifest(name, TYPES.schema2, manifestOf(config, [layer]), tag);
    },
  };
  hosts.set(host, upstream);
  return upstream;
}

/** A schema 2. */
export function manifestOf(config: Stored, layers: readonly Stored[]): unknown {
  const descriptor = (mediaType: string, { digest, bytes }: Stored): unknown => ({
    mediaType,
    size: bytes.length,
    digest,
  });
  return {
    schemaVersion: 2,
    mediaType: TYPES.schema2,
    config: descriptor('application/vnd.docker.container.image.v1+json', config),
    layers: layers.map((layer) => descriptor('application/vnd.docker.image.rootfs.diff.tar.gzip', layer)),
  };
}

/** An index of manifests, the n-th for an architecture of its own. */
export function indexOf(mediaType: string, children: readonly Stored[]): unknown {
  return {
    schemaVersion: 2,
    mediaType: TYPES.index,
    manifests: children.map(({ digest, bytes }, at) => ({
      mediaType,
      size: bytes.length,
      digest,
      ...(mediaType !== TYPES.index && {
        platform: { os: 'linux', architecture: at === 0 ? 'amd64' : `a${String(at)}` },
      }),
    })),
  };
}
