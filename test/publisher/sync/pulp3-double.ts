/**
 * A double of Pulp 3 that answers as its documentation says: the REST API (pulpproject.org, "Pulp Container REST API":
 * pages of `count`, `next`, `previous` and `results`; Basic credentials; an account sees what it may read) and a
 * registry without token authentication. Blobs are not redirected.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { digestOf } from '../gc-bucket.ts';
import type { TestImage } from '../pulp-tree.ts';

const API = '/pulp/api/v3';

/** One distribution with its repository. */
export interface DoubleDistribution {
  readonly href: string;
  basePath: string;
  isPrivate: boolean;
  readonly repository: string | null;
  /** Serves this version instead of the latest. */
  pinned: string | null;
  version: number;
  readonly tags: Map<string, Uint8Array>;
}

/** The double. */
export interface Pulp3Double {
  readonly host: string;
  /** `METHOD path` with query, of each request, in order. */
  readonly log: string[];
  /** Answers instead of Pulp; undefined: Pulp answers. */
  fault: (path: string) => { readonly status: number; readonly body: string } | undefined;
  /** Whether the account may see what is private. */
  seesPrivate: boolean;
  readonly distributions: DoubleDistribution[];
  /** Pull-through distributions: path and the distributions in it. */
  readonly caches: { path: string; isPrivate: boolean; hasLabel: boolean; readonly distributions: readonly string[] }[];
  add(basePath: string, options?: { isPrivate?: boolean; isEmpty?: boolean }): DoubleDistribution;
  /** Pushes an image: a new version. */
  push(distribution: DoubleDistribution, tag: string, image: TestImage): void;
  /** Puts a manifest under a tag: a new version. */
  pushManifest(distribution: DoubleDistribution, tag: string, bytes: Uint8Array, blobs?: readonly Uint8Array[]): void;
  remove(distribution: DoubleDistribution): void;
  close(): Promise<void>;
}

/** The account of the double. */
export const ACCOUNT = 'sync:secret';

/** Starts one. */
export async function startPulp3Double(): Promise<Pulp3Double> {
  const blobs = new Map<string, Uint8Array>();
  const manifests = new Map<string, Uint8Array>();
  const server = createServer((request, response) => {
    answer(double, { blobs, manifests }, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const double: Pulp3Double = {
    host: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    log: [],
    fault: () => undefined,
    seesPrivate: true,
    distributions: [],
    caches: [],
    add: (basePath, { isPrivate = false, isEmpty = false } = {}) => {
      const made: DoubleDistribution = {
        href: `${API}/distributions/container/container/${randomUUID()}/`,
        basePath,
        isPrivate,
        repository: isEmpty ? null : `${API}/repositories/container/container/${randomUUID()}/`,
        pinned: null,
        version: 0,
        tags: new Map(),
      };
      double.distributions.push(made);
      return made;
    },
    push: (distribution, tag, { schema2, config, layer }) => {
      double.pushManifest(distribution, tag, schema2, [config, layer]);
    },
    pushManifest: (distribution, tag, bytes, more = []) => {
      for (const blob of more) blobs.set(digestOf(blob), blob);
      manifests.set(digestOf(bytes), bytes);
      distribution.tags.set(tag, bytes);
      distribution.version += 1;
    },
    remove: (distribution) => {
      double.distributions.splice(double.distributions.indexOf(distribution), 1);
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return double;
}

type Content = Readonly<Record<'blobs' | 'manifests', ReadonlyMap<string, Uint8Array>>>;

function answer(double: Pulp3Double, content: Content, request: IncomingMessage, response: ServerResponse): void {
  const { method = 'GET', url = '/' } = request;
  double.log.push(`${method} ${url}`);
  const { pathname, searchParams } = new URL(url, 'http://pulp');
  const fault = double.fault(pathname);
  const isKnown = request.headers.authorization === `Basic ${Buffer.from(ACCOUNT).toString('base64')}`;
  if (fault !== undefined) send(response, method, fault.status, Buffer.from(fault.body));
  else if (pathname.startsWith('/v2/')) answerRegistry(double, content, { method, pathname, isKnown }, response);
  else if (!isKnown) {
    response.setHeader('www-authenticate', 'Basic realm="api"');
    sendJson(response, method, 401, { detail: 'Authentication credentials were not provided.' });
  } else answerApi(double, { method, pathname, searchParams }, response);
}

function answerApi(
  double: Pulp3Double,
  { method, pathname, searchParams }: { method: string; pathname: string; searchParams: URLSearchParams },
  response: ServerResponse,
): void {
  const visible = double.distributions.filter(({ isPrivate }) => !isPrivate || double.seesPrivate);
  const page = (all: readonly unknown[]): void => {
    const [limit, offset] = [Number(searchParams.get('limit') ?? 100), Number(searchParams.get('offset') ?? 0)];
    const next = new URL(`http://${double.host}${pathname}?limit=${String(limit)}&offset=${String(offset + limit)}`);
    const results = all.slice(offset, offset + limit);
    const more = offset + limit < all.length ? next.href : null;
    sendJson(response, method, 200, { count: all.length, next: more, previous: null, results });
  };
  const one = visible.find(({ href }) => href === pathname);
  const served = visible.find(({ repository }) => repository === pathname);
  if (pathname === `${API}/distributions/container/container/`) page(visible.map(describe));
  else if (pathname === `${API}/distributions/container/pull-through/`)
    page(
      double.caches.map(({ path, isPrivate, hasLabel, distributions }, index) => ({
        pulp_href: `${pathname}${String(index)}/`,
        name: path,
        base_path: hasLabel ? randomUUID() : path,
        pulp_labels: hasLabel ? { 'pulp_container.pull_through': path } : {},
        private: isPrivate,
        distributions,
      })),
    );
  else if (one !== undefined) sendJson(response, method, 200, describe(one));
  else if (served !== undefined)
    sendJson(response, method, 200, {
      pulp_href: served.repository,
      name: served.basePath,
      versions_href: `${pathname}versions/`,
      latest_version_href: `${pathname}versions/${String(served.version)}/`,
    });
  else sendJson(response, method, 404, { detail: 'Not found.' });
}

function describe({ href, basePath, isPrivate, repository, pinned }: DoubleDistribution): unknown {
  return {
    pulp_href: href,
    name: basePath,
    base_path: basePath,
    private: isPrivate,
    repository: pinned === null ? repository : null,
    repository_version: pinned,
    pulp_labels: {},
  };
}

function answerRegistry(
  { distributions }: Pulp3Double,
  { blobs, manifests }: Content,
  { method, pathname, isKnown }: { method: string; pathname: string; isKnown: boolean },
  response: ServerResponse,
): void {
  const [, name, kind, reference = ''] = /^\/v2\/(.+)\/(tags|manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
  const distribution = distributions.find(({ basePath }) => basePath === name);
  const refuse = (status: number, code: string): void => {
    sendJson(response, method, status, { errors: [{ code, message: code, detail: {} }] });
  };
  if (distribution?.isPrivate !== false && !isKnown) {
    response.setHeader('www-authenticate', 'Basic realm="registry"');
    refuse(401, 'UNAUTHORIZED');
    return;
  }
  if (distribution === undefined) refuse(404, 'NAME_UNKNOWN');
  else if (kind === 'tags') sendJson(response, method, 200, { name, tags: [...distribution.tags.keys()] });
  else if (kind === 'blobs') {
    const blob = blobs.get(reference);
    if (blob === undefined) refuse(404, 'BLOB_UNKNOWN');
    else send(response, method, 200, blob, 'application/octet-stream');
  } else {
    const bytes = distribution.tags.get(reference) ?? manifests.get(reference);
    if (kind !== 'manifests' || bytes === undefined) refuse(404, 'MANIFEST_UNKNOWN');
    else {
      const { mediaType = MEDIA_TYPE_OF_FORM['docker-schema2'] } = JSON.parse(Buffer.from(bytes).toString()) as {
        mediaType?: string;
      };
      response.setHeader('docker-content-digest', digestOf(bytes));
      send(response, method, 200, bytes, mediaType);
    }
  }
}

function sendJson(response: ServerResponse, method: string, status: number, value: unknown): void {
  send(response, method, status, Buffer.from(JSON.stringify(value)));
}

function send(
  response: ServerResponse,
  method: string,
  status: number,
  body: Uint8Array,
  type = 'application/json',
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length });
  response.end(method === 'HEAD' ? undefined : body);
}
