/**
 * An upstream registry made for tests: it has what it is given, counts who asks for what, shows credentials' way, and
 * misbehaves on request.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

export const TYPES = {
  schema1: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  schema1Plain: 'application/vnd.docker.distribution.manifest.v1+json',
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  oci: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
} as const;

/** What a tag names. */
export interface Document {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

/** Everything that an upstream has. */
export interface Content {
  /** `name:tag` → the forms published under it. */
  readonly tags: Map<string, Document[]>;
  /** By digest, in every repository. */
  readonly manifests: Map<string, Document>;
  readonly blobs: Map<string, Buffer>;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function emptyContent(): Content {
  return { tags: new Map(), manifests: new Map(), blobs: new Map() };
}

/** Bytes that no compression makes shorter, the same for the same seed. */
export function noise(seed: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < length; at += 32)
    blocks.push(
      createHash('sha256')
        .update(`${seed} ${String(at)}`)
        .digest(),
    );
  return Buffer.concat(blocks).subarray(0, length);
}

/**
 * Puts an image with layers of so many bytes under a tag. Only its config and its digests are those of an image: nobody
 * unpacks it.
 */
export function addImage(
  content: Content,
  tag: string,
  {
    layers,
    seed = tag,
    type = 'schema2',
    architecture = 'amd64',
  }: { layers: readonly number[]; seed?: string; type?: 'schema2' | 'oci'; architecture?: string },
): { readonly manifest: Document; readonly layers: readonly string[]; readonly config: string } {
  const blobs = layers.map((length, index) =>
    length > 1_000_000
      ? noise(`${seed} ${String(index)}`, length)
      : gzipSync(noise(`${seed} ${String(index)}`, length)),
  );
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      created: '2026-02-03T04:05:06Z',
      config: { Cmd: ['/bin/true'], Labels: { seed } },
      rootfs: { type: 'layers', diff_ids: blobs.map((blob) => sha256(Buffer.concat([blob, Buffer.from('unpacked')]))) },
      history: blobs.map((_, index) => ({ created: '2026-02-03T04:05:06Z', created_by: `layer ${String(index)}` })),
    }),
  );
  for (const blob of [...blobs, config]) content.blobs.set(sha256(blob), blob);
  const isOci = type === 'oci';
  const manifest = addManifest(content, TYPES[type], {
    schemaVersion: 2,
    mediaType: TYPES[type],
    config: {
      mediaType: isOci ? 'application/vnd.oci.image.config.v1+json' : 'application/vnd.docker.container.image.v1+json',
      size: config.length,
      digest: sha256(config),
    },
    layers: blobs.map((blob) => ({
      mediaType: isOci
        ? 'application/vnd.oci.image.layer.v1.tar+gzip'
        : 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      size: blob.length,
      digest: sha256(blob),
    })),
  });
  content.tags.set(tag, [manifest]);
  return { manifest, layers: blobs.map(sha256), config: sha256(config) };
}

export function addManifest(content: Content, mediaType: string, value: unknown): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  const manifest = { bytes, mediaType, digest: sha256(bytes) };
  content.manifests.set(manifest.digest, manifest);
  return manifest;
}

/** How an answer goes wrong. */
export type Fault =
  | 'refused'
  | 'cut'
  | 'crawl'
  | 'silence'
  | 'garbage'
  | 'wrong-bytes'
  | 'too-short'
  | 'too-long'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> };

/** A question as it came. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly accept: string | undefined;
}

/** A running upstream. */
export interface Upstream {
  readonly host: string;
  readonly url: string;
  readonly content: Content;
  readonly seen: Seen[];
  /** Decides whether an answer goes wrong, and how; the whole upstream is down while it gives 'refused' to all. */
  fault: (seen: Seen) => Fault | null;
  close(): Promise<void>;
}

/** An answer before any fault. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** A server that answers by `answer`, with faults. */
export async function startUpstream(
  content: Content,
  answer: (seen: Seen, content: Content, host: string) => Reply = plainRegistry,
): Promise<Upstream> {
  const server = createServer((request, response) => {
    const seen: Seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      authorization: request.headers.authorization,
      accept: request.headers.accept,
    };
    upstream.seen.push(seen);
    send(request, response, upstream.fault(seen), answer(seen, content, upstream.host));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const host = `127.0.0.1:${String(address.port)}`;
  const upstream: Upstream = {
    host,
    url: `http://${host}`,
    content,
    seen: [],
    fault: () => null,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return upstream;
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault | null,
  { status, headers = {}, body = Buffer.alloc(0) }: Reply,
): void {
  const head = request.method === 'HEAD';
  const whole = { ...headers, 'content-length': String(body.length) };
  if (typeof fault === 'object' && fault !== null) {
    response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
    response.end(JSON.stringify({ errors: [{ code: 'UNAVAILABLE', message: 'on request' }] }));
    return;
  }
  switch (fault) {
    case 'refused':
      request.socket.destroy();
      return;
    case 'silence':
      return;
    case 'cut':
      response.writeHead(status, whole);
      response.write(body.subarray(0, body.length >> 1), () => request.socket.destroy());
      return;
    case 'crawl':
      response.writeHead(status, whole);
      if (!head) response.write(body.subarray(0, 1));
      return;
    case 'garbage':
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(head ? undefined : '<html>Welcome to the captive portal</html>');
      return;
    case 'wrong-bytes': {
      const other = Buffer.from(body);
      if (other.length > 0) other[other.length >> 1] = (other[other.length >> 1] ?? 0) ^ 1;
      response.writeHead(status, whole);
      response.end(head ? undefined : other);
      return;
    }
    case 'too-short':
    case 'too-long': {
      const other = fault === 'too-short' ? body.subarray(0, -1) : Buffer.concat([body, Buffer.from('x')]);
      response.writeHead(status, { ...headers, 'content-length': String(other.length) });
      response.end(head ? undefined : other);
      return;
    }
    case null:
      response.writeHead(status, whole);
      response.end(head ? undefined : body);
  }
}

/** A path, read; null if it is none of a registry's. */
export function readPath(path: string): {
  readonly name: string;
  readonly what: string;
  readonly reference: string;
  readonly query: URLSearchParams;
} | null {
  const url = new URL(path, 'http://upstream');
  const [, name, what, reference] = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(url.pathname) ?? [];
  return name === undefined || what === undefined || reference === undefined
    ? null
    : { name, what, reference, query: url.searchParams };
}

export const NOT_FOUND: Reply = {
  status: 404,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not here"}]}'),
};

/** A registry as the specification describes it, without authentication. */
export function plainRegistry({ path, accept = '' }: Seen, content: Content): Reply {
  const read = readPath(path);
  if (read === null) return path === '/v2/' ? { status: 200, body: Buffer.from('{}') } : NOT_FOUND;
  const { name, what, reference } = read;
  switch (what) {
    case 'blobs': {
      const blob = content.blobs.get(reference);
      return blob === undefined
        ? NOT_FOUND
        : { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: blob };
    }
    case 'tags': {
      const tags = [...content.tags.keys()].flatMap((tag) =>
        tag.startsWith(`${name}:`) ? [tag.slice(name.length + 1)] : [],
      );
      return tags.length === 0
        ? NOT_FOUND
        : {
            status: 200,
            headers: { 'content-type': 'application/json' },
            body: Buffer.from(JSON.stringify({ name, tags })),
          };
    }
    case 'manifests': {
      const found = reference.includes(':')
        ? content.manifests.get(reference)
        : content.tags.get(`${name}:${reference}`)?.find(({ mediaType }) => accept.includes(mediaType));
      return found === undefined ? NOT_FOUND : manifestReply(found);
    }
    default:
      return NOT_FOUND;
  }
}

export function manifestReply({ bytes, mediaType, digest }: Document): Reply {
  return { status: 200, headers: { 'content-type': mediaType, 'docker-content-digest': digest }, body: bytes };
}
