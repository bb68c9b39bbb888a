/** A small registry that does everything right, and commits the faults it is told to, one at a time. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import { signPayload } from '../../src/manifest/signing/jws.ts';
import { keyFromRandom } from '../../src/manifest/signing/key.ts';
import { buildSchema1, EMPTY_LAYER } from '../../src/manifest/schema1.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES, SCHEMA1_PLAIN } from '../../src/registry/media-type.ts';

/** What the edge is to get wrong. */
export type Fault =
  | 'challenge'
  | 'no-api-version'
  | 'ping-redirects'
  | 'basic-401'
  | 'bearer-without-token'
  | 'bearer'
  | '401-without-challenge'
  | 'schema2-to-all'
  | 'schema1-to-all'
  | 'cache-ignores-vary'
  | 'no-vary'
  | 'json-content-type'
  | 'no-digest-header'
  | 'digest-of-signed'
  | 'body-altered'
  | 'signature-broken'
  | 'digest-unknown'
  | 'first-type-wins'
  | 'schema1-digest-unknown'
  | 'condition-first'
  | 'head-without-length'
  | 'head-other-etag'
  | 'blob-without-length'
  | 'manifest-chunked'
  | 'manifest-gzip'
  | 'blob-brotli'
  | 'etag-weak'
  | 'etag-random'
  | 'ignores-if-none-match'
  | 'ignores-range'
  | 'wrong-range'
  | 'blob-damaged'
  | 'layer-missing'
  | 'blob-308'
  | 'blob-307'
  | 'blob-307-userinfo'
  | 'blob-307-nowhere'
  | 'blob-307-refuses-authorization'
  | 'miss-200'
  | 'miss-cached'
  | 'miss-html'
  | 'miss-500'
  | 'bad-digest-500'
  | 'tag-immutable'
  | 'digest-no-store'
  | 'v1-html'
  | 'tags-unsorted'
  | 'ignores-n'
  | 'no-referrers'
  | 'no-schema1'
  | 'no-schema1-hidden'
  | 'schema1-nameless'
  | 'zstd-to-all'
  | 'body-cut';

/** The edge's one image. */
export const IMAGE = 'demo/hello';

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
}

interface Stored {
  readonly type: string;
  readonly bytes: Uint8Array;
}

const encoder = new TextEncoder();
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const layer = gzipSync(Buffer.alloc(3_000, 'a layer, '));
const config = encoder.encode(
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/hello'] },
    created: '2026-01-01T00:00:00Z',
    rootfs: { type: 'layers', diff_ids: [digestOf(Buffer.alloc(3_000, 'a layer, '))] },
    history: [
      { created: '2026-01-01T00:00:00Z', created_by: 'ADD layer' },
      { created: '2026-01-01T00:00:00Z', created_by: 'CMD ["/hello"]', empty_layer: true },
    ],
  }),
);
const schema2 = encoder.encode(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
    config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.length, digest: digestOf(config) },
    layers: [{ mediaType: MEDIA_TYPES.dockerLayerGzip, size: layer.length, digest: digestOf(layer) }],
  }),
);
const payload = ((): Uint8Array => {
  const built = buildSchema1({ config, layers: [digestOf(layer)], name: IMAGE, tag: 'latest' }, 'strict');
  if (built.kind !== 'payload') throw new Error(built.explanation);
  return built.payload;
})();
const key = keyFromRandom(Uint8Array.from({ length: 32 }, (_, index) => index + 1));
if (key === null) throw new Error('no key');
const signed = signPayload(key, payload, '2026-01-01T00:00:00Z');

const nameless = encoder.encode(new TextDecoder().decode(payload).replace(/"name": "[^"]*"/, '"name": ""'));
const namelessSigned = signPayload(key, nameless, '2026-01-01T00:00:00Z');
const zstdSchema2 = encoder.encode(
  new TextDecoder().decode(schema2).replace(MEDIA_TYPES.dockerLayerGzip, MEDIA_TYPES.dockerLayerZstd),
);
const oci = encoder.encode(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-manifest'],
    config: { mediaType: MEDIA_TYPES.ociConfig, size: config.length, digest: digestOf(config) },
    layers: [{ mediaType: MEDIA_TYPES.ociLayerGzip, size: layer.length, digest: digestOf(layer) }],
  }),
);

/** The image as somebody pushes it: config and layer, and the schema 2 manifest over them. */
export const PUSHED = { config, layer, schema2 } as const;

const SCHEMA1: Stored = { type: MEDIA_TYPE_OF_FORM['docker-schema1'], bytes: signed };
const SCHEMA2: Stored = { type: MEDIA_TYPE_OF_FORM['docker-schema2'], bytes: schema2 };
const NAMELESS: Stored = { type: SCHEMA1.type, bytes: namelessSigned };
const ZSTD: Stored = { type: SCHEMA2.type, bytes: zstdSchema2 };
const OCI: Stored = { type: MEDIA_TYPE_OF_FORM['oci-manifest'], bytes: oci };
/** What each manifest is stored under. */
const DIGESTS: ReadonlyMap<Stored, string> = new Map([
  [SCHEMA1, digestOf(payload)],
  [NAMELESS, digestOf(nameless)],
  [SCHEMA2, digestOf(schema2)],
  [ZSTD, digestOf(zstdSchema2)],
  [OCI, digestOf(oci)],
]);
const BLOBS: readonly Uint8Array[] = [config, layer, EMPTY_LAYER.bytes];

/** A running edge. */
export interface Edge {
  readonly url: string;
  readonly requests: string[];
  close(): Promise<void>;
}

/** Starts the edge; with `tls` over https; its image is called `name`. */
export async function startEdge(fault: Fault | null, tls?: ServerOptions, name: string = IMAGE): Promise<Edge> {
  const requests: string[] = [];
  const cache = new Map<string, Answer>();
  let targetPort = 0;
  const listener: RequestListener = (request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const cached =
      fault === 'cache-ignores-vary' && request.url?.includes('/manifests/') === true
        ? cache.get(request.url)
        : undefined;
    const answer = cached ?? answerTo(request, fault, targetPort, name);
    if (fault === 'cache-ignores-vary') cache.set(request.url ?? '', answer);
    send(
      request,
      response,
      { ...answer, headers: { ...answer.headers, ...(cached === undefined ? {} : { age: '1' }) } },
      fault,
    );
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  // The same on another port: where redirects lead that leave the host.
  const target = createServer(listener).listen(0, '127.0.0.1');
  await once(target, 'listening');
  targetPort = portOf(target);
  // What a failed handshake says is for the doctor to find out.
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${tls === undefined ? '127.0.0.1' : 'localhost'}:${String(portOf(server))}`,
    requests,
    close: async () => {
      for (const one of [server, target]) {
        one.closeAllConnections();
        one.close();
        await once(one, 'close');
      }
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function answerTo(request: IncomingMessage, fault: Fault | null, targetPort: number, image: string): Answer {
  const url = new URL(request.url ?? '', 'http://edge');
  const path = url.pathname;
  const authorization = request.headers.authorization;
  if (path === '/token')
    return json(
      200,
      fault === 'bearer-without-token'
        ? { access_token: 'let-me-in' }
        : { token: 'let-me-in', access_token: 'let-me-in' },
    );
  if (path.startsWith('/v1/'))
    return fault === 'v1-html'
      ? { status: 200, headers: { 'content-type': 'text/html' }, body: encoder.encode('<h1>Hi</h1>') }
      : miss(fault, 'UNSUPPORTED');
  if (path.startsWith('/target/')) {
    if (fault === 'blob-307-refuses-authorization' && authorization !== undefined)
      return { status: 400, headers: {}, body: encoder.encode('only one authentication, please') };
    return blob(`sha256:${path.slice('/target/'.length)}`, request, fault);
  }
  if (fault === 'challenge')
    return {
      status: 403,
      headers: { 'content-type': 'text/html', 'cf-mitigated': 'challenge' },
      body: encoder.encode('<title>Just a moment...</title>'),
    };
  const version = fault === 'no-api-version' ? {} : { 'docker-distribution-api-version': 'registry/2.0' };
  const protectedBy = fault === 'blob-307-refuses-authorization' ? 'bearer' : fault;
  if (
    ['basic-401', 'bearer', 'bearer-without-token', '401-without-challenge'].includes(protectedBy ?? '') &&
    authorization === undefined
  ) {
    const challenge =
      protectedBy === 'basic-401'
        ? 'Basic realm="edge"'
        : `Bearer realm="http://${request.headers.host ?? ''}/token",service="edge"`;
    const answer = json(401, { errors: [{ code: 'UNAUTHORIZED', message: 'log in' }] });
    return {
      ...answer,
      headers: {
        ...answer.headers,
        ...version,
        ...(fault === '401-without-challenge' ? {} : { 'www-authenticate': challenge }),
      },
    };
  }
  if (path === '/v2/' && fault === 'ping-redirects')
    return { status: 302, headers: { location: '/welcome' }, body: new Uint8Array() };
  if (path === '/v2/') return { ...json(200, {}), headers: { 'content-type': 'application/json', ...version } };
  if (path === '/v2/_catalog') return json(200, { repositories: [image] });
  if (path === `/v2/${image}/tags/list`) {
    const tags = fault === 'tags-unsorted' ? ['old', 'latest'] : ['latest', 'old'];
    const n = url.searchParams.get('n');
    return json(200, { name: image, tags: n === null || fault === 'ignores-n' ? tags : tags.slice(0, Number(n)) });
  }
  const match = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/(.+)$/.exec(path);
  if (match?.[1] !== image) return miss(fault, 'NAME_UNKNOWN');
  const reference = match[3] ?? '';
  if (match[2] === 'referrers')
    return fault === 'no-referrers' ? miss(null, 'UNSUPPORTED') : json(200, { schemaVersion: 2, manifests: [] });
  if (match[2] === 'blobs') return blobOrRedirect(reference, request, fault, targetPort);
  if (fault === 'bad-digest-500' && reference === 'sha256:doctor')
    return json(500, { errors: [{ code: 'UNKNOWN', message: 'oops' }] });
  return manifest(reference, request, fault);
}

function manifest(reference: string, request: IncomingMessage, fault: Fault | null): Answer {
  const byTag = reference === 'latest';
  const types = (request.headers.accept ?? '').split(',').map((type) => type.trim());
  const schema1Only = types.every((type) => type === '' || type === SCHEMA1.type || type === SCHEMA1_PLAIN);
  const noSchema1 = fault === 'no-schema1' || fault === 'no-schema1-hidden';
  let stored: Stored | undefined;
  if (byTag) {
    if (fault === 'schema2-to-all') stored = SCHEMA2;
    else if (fault === 'schema1-to-all') stored = SCHEMA1;
    else if (schema1Only) stored = fault === 'schema1-nameless' ? NAMELESS : SCHEMA1;
    else if (fault === 'zstd-to-all') stored = ZSTD;
    else stored = types.some((type) => type === SCHEMA2.type || type === '*/*') ? SCHEMA2 : OCI;
    if (schema1Only && noSchema1) {
      const codes = fault === 'no-schema1' ? ['UNSUPPORTED', 'MANIFEST_UNKNOWN'] : ['MANIFEST_UNKNOWN'];
      return json(404, { errors: codes.map((code) => ({ code, message: 'no schema 1' })) });
    }
  } else {
    const hidden = { 'digest-unknown': SCHEMA2, 'schema1-digest-unknown': SCHEMA1 }[fault ?? ('none' as string)];
    stored = [...DIGESTS.keys()].find((one) => DIGESTS.get(one) === reference && one !== hidden);
  }
  if (fault === 'first-type-wins' && byTag)
    stored =
      [SCHEMA1, SCHEMA2].find(
        ({ type }) => type === types.find((one) => one === SCHEMA1.type || one === SCHEMA2.type),
      ) ?? stored;
  if (stored === undefined) return miss(fault, 'MANIFEST_UNKNOWN');
  let { bytes } = stored;
  const digest =
    stored === SCHEMA1 && fault === 'digest-of-signed' ? digestOf(signed) : (DIGESTS.get(stored) ?? digestOf(bytes));
  if (fault === 'body-altered') bytes = encoder.encode(`${new TextDecoder().decode(bytes)}\n`);
  if (fault === 'signature-broken' && stored === SCHEMA1) {
    bytes = encoder.encode(
      new TextDecoder()
        .decode(bytes)
        .replace(/"signature": "(.)/, (_, first: string) => `"signature": "${first === 'A' ? 'B' : 'A'}`),
    );
  }
  const headers: Record<string, string> = {
    'content-type': fault === 'json-content-type' ? 'application/json' : stored.type,
    'content-length': String(bytes.length),
    etag: `"${digest}"`,
    'cache-control': byTag ? 'public, max-age=60' : 'public, max-age=31536000, immutable',
    ...(fault === 'no-digest-header' ? {} : { 'docker-content-digest': digest }),
    ...(byTag && fault !== 'no-vary' ? { vary: 'Accept' } : {}),
  };
  if (fault === 'tag-immutable') headers['cache-control'] = 'public, max-age=31536000, immutable';
  if (fault === 'digest-no-store' && !byTag) headers['cache-control'] = 'no-store';
  if (fault === 'manifest-gzip' && request.headers['accept-encoding']?.includes('gzip') === true) {
    bytes = gzipSync(bytes);
    headers['content-encoding'] = 'gzip';
    headers['content-length'] = String(bytes.length);
  }
  if (fault === 'manifest-chunked') delete headers['content-length'];
  return { status: 200, headers, body: bytes };
}

function blobOrRedirect(digest: string, request: IncomingMessage, fault: Fault | null, targetPort: number): Answer {
  const hex = digest.slice('sha256:'.length);
  const location = {
    'blob-308': `/target/${hex}`,
    'blob-307': `/target/${hex}`,
    'blob-307-userinfo': `http://me:secret@127.0.0.1:${String(targetPort)}/target/${hex}`,
    'blob-307-nowhere': 'http://127.0.0.1:1/',
    // The same host name: where Go's client keeps Authorization.
    'blob-307-refuses-authorization': `http://127.0.0.1:${String(targetPort)}/target/${hex}`,
  }[fault ?? ('none' as string)];
  if (location !== undefined && BLOBS.some((bytes) => digestOf(bytes) === digest))
    return { status: fault === 'blob-308' ? 308 : 307, headers: { location }, body: new Uint8Array() };
  return blob(digest, request, fault);
}

function blob(digest: string, request: IncomingMessage, fault: Fault | null): Answer {
  const there = BLOBS.find((bytes) => digestOf(bytes) === digest);
  if (there === undefined || (fault === 'layer-missing' && there === layer)) return miss(fault, 'BLOB_UNKNOWN');
  let bytes: Uint8Array = there;
  if (fault === 'blob-damaged') bytes = Uint8Array.from(there, (byte, index) => (index === 3 ? byte ^ 1 : byte));
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'content-length': String(bytes.length),
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
    'cache-control': 'public, max-age=31536000, immutable',
  };
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  if (range !== null && fault !== 'ignores-range') {
    const from = Number(range[1]);
    const part = bytes.subarray(fault === 'wrong-range' ? from - 1 : from, fault === 'wrong-range' ? -1 : undefined);
    return {
      status: 206,
      headers: {
        ...headers,
        'content-length': String(part.length),
        'content-range': `bytes ${String(from)}-${String(bytes.length - 1)}/${String(bytes.length)}`,
      },
      body: part,
    };
  }
  if (fault === 'blob-brotli' && request.headers['accept-encoding'] !== undefined) {
    bytes = brotliCompressSync(bytes);
    headers['content-encoding'] = 'br';
    headers['content-length'] = String(bytes.length);
  }
  if (fault === 'blob-without-length') delete headers['content-length'];
  return { status: 200, headers, body: bytes };
}

function miss(fault: Fault | null, code: string): Answer {
  if (fault === 'miss-200')
    return { status: 200, headers: { 'content-type': 'text/html' }, body: encoder.encode('<h1>Welcome</h1>') };
  if (fault === 'miss-html')
    return { status: 404, headers: { 'content-type': 'text/html' }, body: encoder.encode('<h1>Not found</h1>') };
  const answer = json(fault === 'miss-500' ? 500 : 404, { errors: [{ code, message: 'not here' }] });
  return {
    ...answer,
    headers: { ...answer.headers, 'cache-control': fault === 'miss-cached' ? 'max-age=3600' : 'max-age=10' },
  };
}

function json(status: number, value: unknown): Answer {
  const body = encoder.encode(JSON.stringify(value));
  return { status, headers: { 'content-type': 'application/json', 'content-length': String(body.length) }, body };
}

let count = 0;

function send(request: IncomingMessage, response: ServerResponse, answer: Answer, fault: Fault | null): void {
  const head = request.method === 'HEAD';
  const headers = { ...answer.headers };
  let { status } = answer;
  if (headers.etag !== undefined) {
    if (fault === 'etag-weak') headers.etag = `W/${headers.etag}`;
    if (fault === 'etag-random') headers.etag = `"${String((count += 1))}"`;
    if (fault === 'head-other-etag' && head) headers.etag = '"head"';
    if (status === 200 && request.headers['if-none-match'] === headers.etag && fault !== 'ignores-if-none-match') {
      status = 304;
      delete headers['content-length'];
    }
  }
  if (head && fault === 'head-without-length') delete headers['content-length'];
  // Whatever form the ETag is of.
  if (fault === 'condition-first' && status === 200 && request.headers['if-none-match'] !== undefined) status = 304;
  response.writeHead(status, headers);
  if (head || status === 304) response.end();
  else if (fault === 'body-cut' && status === 200 && answer.body.length > 100)
    response.write(answer.body.subarray(0, 50), () => response.destroy());
  else response.end(answer.body);
}
