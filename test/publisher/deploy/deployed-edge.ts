/** A deployment to examine: the Worker behind the stand-in for Workers Cache, behind a TLS server on loopback. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request as requestHttp, type ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { makeStateFolder } from '../../../src/publisher/local/folder.ts';
import { WORKER_BUILD } from '../../../src/publisher/local/worker-bundle.ts';
import { readLocalBucket } from '../../../src/publisher/local/wrangler-config.ts';
import { gantry } from '../../interop/programs.ts';
import { writeDirImage } from '../dir-image.ts';

/** The Worker's secret. */
export const PURGE_TOKEN = 'a-secret-of-some-length';

/** Bytes that the stand-in stores at most: more than a manifest, less than a layer. */
export const CACHE_MAX_BYTES = 3_000;

/** The image that is published. */
export const IMAGE = 'test/own:v1';

/** Changes a request on its way to the Worker, and the headers of the answer. */
export interface Meddling {
  readonly request?: (request: { path: string; headers: Record<string, string> }) => void;
  readonly response?: (headers: Record<string, string>) => void;
  /** Answers in place of the Worker. */
  readonly answer?: (
    request: IncomingMessage,
  ) => { status: number; headers: Record<string, string>; body?: string } | null;
}

/** A TLS server in front of the Worker. */
export interface Front {
  readonly url: URL;
  close(): Promise<void>;
}

/** The running deployment. */
export interface DeployedEdge {
  /** The Worker itself: http on loopback. */
  readonly worker: URL;
  /** Opens a TLS server in front. `chain`: a file of test/fixtures/doctor. */
  front(tls?: { readonly chain?: string; readonly options?: ServerOptions }, meddling?: Meddling): Promise<Front>;
  /** Empties the cache. */
  forget(): Promise<void>;
  /** Makes the Worker its next version. */
  deploy(): Promise<void>;
  close(): Promise<void>;
}

/** Publishes an image, and starts the Worker. `behind`: the module that is the Worker. */
export async function startDeployedEdge(): Promise<DeployedEdge> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-deployed-'));
  const image = await writeDirImage(join(folder, 'image'));
  const state = join(folder, 'state');
  const { code, stderr } = await gantry(['publish', image.source, IMAGE, '--state', state], {
    env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
  });
  if (code !== 0) throw new Error(stderr);
  const { outputFiles } = await build({
    ...WORKER_BUILD,
    entryPoints: [fileURLToPath(new URL('../../worker/behind-cache.ts', import.meta.url))],
    write: false,
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: 0,
      cf: false,
      logRequests: false,
      resourcePersistencePath: (await makeStateFolder(state)).persist,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: () => undefined,
      workers: [
        {
          compatibilityDate: '2026-10-01',
          compatibilityFlags: ['no_nodejs_global_timers'],
          name: 'gantry',
          modules: [{ type: 'ESModule', path: 'index.js', contents: outputFiles[0]?.text ?? '' }],
          r2Buckets: { BUCKET: { id: await readLocalBucket() } },
          unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
          bindings: { LOG: 'failures', BLOB_CACHE: 'on', PURGE_TOKEN, CACHE_MAX_BYTES: String(CACHE_MAX_BYTES) },
        },
      ],
    }),
  );
  await miniflare.ready;
  const worker = await miniflare.unsafeGetDirectURL('gantry');
  const post = async (path: string): Promise<void> => {
    const answer = await fetch(new URL(path, worker), { method: 'POST' });
    if (answer.status !== 204) throw new Error(`${path}: ${String(answer.status)}`);
  };
  return {
    worker,
    front: ({ chain = 'google', options = {} } = {}, meddling = {}) => openFront(worker, chain, options, meddling),
    forget: () => post('/-/forget'),
    deploy: () => post('/-/deploy'),
    close: async () => {
      await miniflare.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openFront(worker: URL, chain: string, options: ServerOptions, meddling: Meddling): Promise<Front> {
  const fixture = (part: string): Promise<Buffer> =>
    readFile(new URL(`../../fixtures/doctor/${chain}-${part}.pem`, import.meta.url));
  const cert = await fixture(chain === 'rsa' ? 'cert' : 'chain');
  const server: Server = createServer({ key: await fixture('key'), cert, ...options }, (request, response) =>
    forward(worker, request, response, meddling),
  );
  // What a failed handshake says is for the doctor to find out.
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: new URL(`https://localhost:${String(address.port)}/`),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function forward(
  worker: URL,
  request: IncomingMessage,
  response: ServerResponse,
  { request: changeRequest, response: changeResponse, answer }: Meddling,
): void {
  const own = answer?.(request) ?? null;
  if (own !== null) {
    response.writeHead(own.status, own.headers).end(own.body);
    return;
  }
  const asked = { path: request.url ?? '/', headers: flat(request.headers) };
  changeRequest?.(asked);
  const up = requestHttp(
    new URL(asked.path, worker),
    { method: request.method ?? 'GET', headers: asked.headers, agent: false },
    (got) => {
      const headers = flat(got.headers);
      changeResponse?.(headers);
      response.writeHead(got.statusCode ?? 502, headers);
      got.pipe(response);
    },
  );
  up.on('error', () => response.destroy());
  response.on('close', () => up.destroy());
  request.pipe(up);
}

function flat(headers: IncomingMessage['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
