/** Pulp as an upstream: what crane and nginx do with a tree that Pulp 2 has published, and Pulp 3's registry. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import {
  type Content,
  type Document,
  manifestReply,
  NOT_FOUND,
  readPath,
  type Reply,
  type Seen,
  startUpstream,
  TYPES,
  type Upstream,
} from './origin-upstream.ts';
import { end, freePort, until } from './programs.ts';

/** A server that can be stopped. */
export interface Peer {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** What Pulp 2 has published of one repository: the web directory's files, and what the app file says of them. */
export interface Pulp2Repository {
  readonly name: string;
  /** Tag or digest → file. */
  readonly schema1: ReadonlyMap<string, Document>;
  readonly schema2: ReadonlyMap<string, Document>;
  readonly lists: ReadonlyMap<string, Document>;
  readonly amd64: ReadonlyMap<string, readonly [digest: string, version: 1 | 2]>;
  readonly blobs: ReadonlyMap<string, Buffer>;
}

/** Writes the web directory below `folder` and serves it by nginx, which knows nothing of manifests. */
export async function startPulp2Web(folder: string, repository: Pulp2Repository): Promise<Peer> {
  const web = join(folder, 'web', repository.name);
  for (const directory of ['manifests/1', 'manifests/2', 'manifests/list', 'blobs', 'tags'])
    await mkdir(join(web, directory), { recursive: true });
  const write = async (directory: string, files: ReadonlyMap<string, Document>): Promise<void> => {
    for (const [file, { bytes }] of files) await writeFile(join(web, directory, file), bytes);
  };
  await write('manifests/1', repository.schema1);
  await write('manifests/2', repository.schema2);
  await write('manifests/list', repository.lists);
  for (const [digest, blob] of repository.blobs) await writeFile(join(web, 'blobs', digest), blob);
  const tags = [
    ...new Set([...repository.schema1.keys(), ...repository.schema2.keys(), ...repository.lists.keys()]),
  ].filter((key) => !key.includes(':'));
  await writeFile(join(web, 'tags', 'list'), JSON.stringify({ name: repository.name, tags }));
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(folder, kind)};`)
    .join(' ');
  await writeFile(
    config,
    `daemon off; user root; worker_processes 1; pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'error.log')};
     events {}
     http { access_log off; ${temporary} default_type application/octet-stream;
       server { listen 127.0.0.1:${String(port)}; root ${join(folder, 'web')}; } }\n`,
  );
  const child = spawn('nginx', ['-c', config, '-p', folder, '-e', join(folder, 'error.log')], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${String(port)}`;
  await until('nginx', async () => (await fetch(url)).status > 0);
  return { url, close: () => end(child) };
}

/** crane in front of that: its decision table, answered with redirects. */
export async function startCrane(
  web: string,
  { name, schema2, lists, amd64 }: Pulp2Repository,
): Promise<Peer & { readonly seen: Seen[] }> {
  const seen: Seen[] = [];
  const fileFor = (what: string, reference: string, accept: string): string => {
    if (what === 'tags') return 'tags/list';
    if (what === 'blobs') return `blobs/${reference}`;
    const types = new Set(accept.split(',').map((type) => type.split(';', 1)[0]?.trim()));
    if (schema2.size === 0 && lists.size === 0) return `manifests/1/${reference}`;
    if (types.has(TYPES.list) && lists.has(reference)) return `manifests/list/${reference}`;
    const own = amd64.get(reference);
    if (own !== undefined) {
      const [digest, version] = own;
      if (types.has(TYPES.schema2)) return `manifests/${String(version)}/${digest}`;
      return version === 1 ? `manifests/1/${digest}` : `manifests/1/${reference}`;
    }
    return types.has(TYPES.schema2) && schema2.has(reference) ? `manifests/2/${reference}` : `manifests/1/${reference}`;
  };
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    seen.push({ method, path, authorization: headers.authorization, accept: headers.accept });
    const read = readPath(path);
    if (read?.name !== name) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ errors: [{ code: '404', message: 'Not Found' }] }));
      return;
    }
    response.writeHead(302, { location: `${web}/${name}/${fileFor(read.what, read.reference, headers.accept ?? '')}` });
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    seen,
    url: `http://127.0.0.1:${String(address.port)}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * Pulp 3: its registry with its token service, and its content app on another port, which must never see a credential.
 */
export interface Pulp3 {
  readonly registry: Upstream;
  readonly content: Upstream;
  readonly close: () => Promise<void>;
}

/** Starts Pulp 3 with one user. Lists have two tags a page. */
export async function startPulp3(
  content: Content,
  user: { readonly username: string; readonly password: string },
): Promise<Pulp3> {
  const basic = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`;
  const app = await startUpstream(content, ({ path }, { blobs }) => {
    const blob = blobs.get(path.slice('/pulp/content/'.length));
    return blob === undefined
      ? NOT_FOUND
      : { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: blob };
  });
  const json = (status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: Buffer.from(JSON.stringify(value)),
  });
  const registry = await startUpstream(content, (seen, own, host): Reply => {
    const url = new URL(seen.path, `http://${host}`);
    if (url.pathname === '/token/') {
      if (seen.authorization !== basic) return json(401, { detail: 'Invalid username/password.' });
      const token = Buffer.from(
        JSON.stringify({ aud: url.searchParams.get('service'), scope: url.searchParams.get('scope') ?? '' }),
      ).toString('base64url');
      return json(200, { token, access_token: token, expires_in: 300, issued_at: '2026-01-01T00:00:00Z' });
    }
    const read = readPath(seen.path);
    const scope = read === null ? '' : `repository:${read.name}:pull`;
    const expected = `Bearer ${Buffer.from(JSON.stringify({ aud: host, scope })).toString('base64url')}`;
    if (seen.authorization !== expected) {
      const challenge = `Bearer realm="http://${host}/token/",service="${host}"${scope === '' ? '' : `,scope="${scope}"`}`;
      return json(
        401,
        { errors: [{ code: 'UNAUTHORIZED', message: 'Authentication required' }] },
        { 'www-authenticate': challenge },
      );
    }
    if (read === null) return url.pathname === '/v2/' ? json(200, {}) : NOT_FOUND;
    const { name, what, reference, query } = read;
    if (what === 'blobs') {
      return own.blobs.has(reference)
        ? { status: 302, headers: { location: `${app.url}/pulp/content/${reference}` } }
        : NOT_FOUND;
    }
    if (what === 'tags') {
      const tags = [...own.tags.keys()]
        .flatMap((tag) => (tag.startsWith(`${name}:`) ? [tag.slice(name.length + 1)] : []))
        .sort();
      const rest = tags.filter((tag) => tag > (query.get('last') ?? ''));
      const page = rest.slice(0, 2);
      const last = page.at(-1);
      // A full last page still has a link, and it is absolute.
      const link: Readonly<Record<string, string>> =
        page.length === 2 && last !== undefined
          ? { link: `<http://${host}/v2/${name}/tags/list?n=2&last=${last}>; rel="next"` }
          : {};
      return json(200, { name, tags: page }, link);
    }
    if (what !== 'manifests') return NOT_FOUND;
    if (reference.includes(':')) {
      const found = own.manifests.get(reference);
      // Schema 1 comes under its old name by digest, and `Accept` is not looked at.
      return found === undefined
        ? NOT_FOUND
        : manifestReply(found.mediaType === TYPES.schema1 ? { ...found, mediaType: TYPES.schema1Plain } : found);
    }
    const [found] = own.tags.get(`${name}:${reference}`) ?? [];
    const fits =
      found !== undefined && (found.mediaType === TYPES.schema1 || (seen.accept ?? '').includes(found.mediaType));
    return fits ? manifestReply(found) : NOT_FOUND;
  });
  return {
    registry,
    content: app,
    close: async () => {
      await registry.close();
      await app.close();
    },
  };
}
