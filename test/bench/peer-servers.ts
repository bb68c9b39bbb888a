/**
 * Registries to compare Gantry with, each a process of its own over a folder of its own, started and stopped as often as
 * a measurement needs: Workers under Miniflare's API, as Gantry is, and programs.
 */
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from 'miniflare';
import { stateFolderAt } from '../../src/publisher/local/folder.ts';
import { listenInFront } from '../../src/publisher/local/front.ts';
import { bundleWorker } from '../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG, readLocalBucket } from '../../src/publisher/local/wrangler-config.ts';
import { startDockerRegistry } from '../interop/docker-registry.ts';
import { end, freePort, gantry, must, run, until } from '../interop/programs.ts';
import { descendants } from './process-figures.ts';

/** A running registry. */
export interface PeerServer {
  /** `http://127.0.0.1:port`, for load. */
  readonly url: string;
  /** `127.0.0.1:port`, for clients. */
  readonly host: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** A registry that can be measured. */
export interface PeerRegistry {
  readonly title: string;
  /** Of each request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Options of skopeo, without the leading `--src-` or `--dest-`. */
  readonly skopeo: readonly string[];
  start(): Promise<PeerServer>;
  /** Puts an image of skopeo's `dir:` into it. */
  publish(folder: string, image: string): Promise<void>;
}

/** The pinned zot: newer versions may need another configuration. */
export const ZOT = { module: 'zotregistry.dev/zot/v2/cmd/zot', version: 'v2.1.20' } as const;

/** The pinned commit of cloudflare/serverless-registry. */
export const SERVERLESS_REGISTRY = '5f97b0ec60179337d01e5f69df944bef088396c9';

/** Gantry over a local store. `vars`: variables of its Worker. */
export function gantryPeer(title: string, folder: string, vars: Readonly<Record<string, string>>): PeerRegistry {
  const state = join(folder, 'state');
  return {
    title,
    headers: {},
    skopeo: [],
    start: async () => {
      const { code, options } = await bundleWorker(OWN_CONFIG);
      return startWorker(stateFolderAt(state).persist, {
        ...options,
        bindings: { ...options.bindings, ...vars },
        modules: [{ type: 'ESModule', path: 'index.js', contents: code }],
        r2Buckets: { BUCKET: { id: await readLocalBucket() } },
      });
    },
    publish: async (from, image) => {
      const args = ['publish', `dir:${from}`, image, '--state', state];
      const { code, stderr } = await gantry(args, { env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') } });
      if (code !== 0) throw new Error(stderr);
    },
  };
}

/** Debian's docker-registry. */
export function dockerRegistryPeer(folder: string): PeerRegistry {
  const start = async (): Promise<PeerServer> => {
    const registry = await startDockerRegistry(folder);
    return { ...registry, url: `http://${registry.host}` };
  };
  return pushedTo({ title: 'docker-registry 2.8.2', headers: {}, skopeo: [], start });
}

/** zot, from its program. It stores files in a folder; extensions are off. */
export async function zotPeer(folder: string, program: string): Promise<PeerRegistry> {
  const said = await run(program, ['--version']);
  const version = /v\d+\.\d+\.\d+/.exec(`${said.stdout}${said.stderr}`)?.[0];
  const start = async (): Promise<PeerServer> => {
    const port = await freePort();
    const config = join(folder, 'config.json');
    await mkdir(folder, { recursive: true });
    await writeFile(
      config,
      JSON.stringify({
        distSpecVersion: '1.1.1',
        // Deduplication and garbage collection are no part of reading.
        storage: { rootDirectory: join(folder, 'data'), dedupe: false, gc: false },
        // Without it, zot takes no Docker schema 2.
        http: { address: '127.0.0.1', port: String(port), compat: ['docker2s2'] },
        log: { level: 'error', output: '/dev/null' },
      }),
    );
    const child = spawn(program, ['serve', config], { stdio: 'ignore' });
    const host = `127.0.0.1:${String(port)}`;
    await until('zot', async () => (await fetch(`http://${host}/v2/`)).status < 500);
    return { url: `http://${host}`, host, pid: child.pid ?? NaN, close: () => end(child) };
  };
  return pushedTo({ title: version === undefined ? 'zot' : `zot ${version}`, headers: {}, skopeo: [], start });
}

/** cloudflare/serverless-registry, from a checkout with its dependencies. It always asks for a login. */
export async function serverlessPeer(folder: string, checkout: string): Promise<PeerRegistry> {
  const commit = (await run('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: checkout })).stdout.trim();
  const config = join(folder, 'wrangler.toml');
  const [USERNAME, PASSWORD] = ['bench', 'bench-password'];
  await mkdir(folder, { recursive: true });
  await writeFile(
    config,
    [
      'name = "serverless-registry"',
      `main = ${JSON.stringify(join(checkout, 'index.ts'))}`,
      'compatibility_date = "2024-09-09"',
      'compatibility_flags = ["nodejs_compat"]',
      '[[r2_buckets]]',
      'binding = "REGISTRY"',
      'bucket_name = "registry"',
      '[vars]',
      `USERNAME = "${USERNAME}"`,
      `PASSWORD = "${PASSWORD}"`,
      '',
    ].join('\n'),
  );
  const { code, options } = await bundleWorker(config);
  return pushedTo({
    title: `serverless-registry ${commit}`,
    headers: { authorization: `Basic ${Buffer.from(`${USERNAME}:${PASSWORD}`).toString('base64')}` },
    skopeo: ['creds', `${USERNAME}:${PASSWORD}`],
    start: () =>
      startWorker(join(folder, 'state'), {
        ...options,
        modules: [{ type: 'ESModule', path: 'index.js', contents: code }],
        r2Buckets: { REGISTRY: 'registry' },
      }),
  });
}

/** Pulls an image into a folder, which is removed again. Gives the milliseconds. */
export async function pullBy(registry: PeerRegistry, { host }: PeerServer, image: string, to: string): Promise<number> {
  const begun = performance.now();
  await must('skopeo', ['copy', '-q', ...skopeoOptions(registry, 'src'), `docker://${host}/${image}`, `dir:${to}`]);
  const milliseconds = performance.now() - begun;
  await rm(to, { recursive: true, force: true });
  return milliseconds;
}

function pushedTo(registry: Omit<PeerRegistry, 'publish'>): PeerRegistry {
  return {
    ...registry,
    publish: async (from, image) => {
      const server = await registry.start();
      try {
        const options = skopeoOptions(registry, 'dest');
        await must('skopeo', ['copy', '-q', ...options, `dir:${from}`, `docker://${server.host}/${image}`]);
      } finally {
        await server.close();
      }
    },
  };
}

function skopeoOptions({ skopeo }: Pick<PeerRegistry, 'skopeo'>, side: 'src' | 'dest'): readonly string[] {
  const [option, ...values] = skopeo;
  return [`--${side}-tls-verify=false`, ...(option === undefined ? [] : [`--${side}-${option}`, ...values])];
}

/** Runs a Worker in a workerd of its own. */
async function startWorker(persist: string, worker: V4WorkerOptions): Promise<PeerServer> {
  const before = new Set(descendants(process.pid, 'workerd'));
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: 0,
      cf: false,
      logRequests: false,
      resourcePersistencePath: persist,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: () => undefined,
      workers: [{ ...worker, name: 'worker', unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] }],
    }),
  );
  await miniflare.ready;
  const url = (await miniflare.unsafeGetDirectURL('worker')).origin;
  const pid = descendants(process.pid, 'workerd').find((one) => !before.has(one));
  if (pid === undefined) throw new Error('Miniflare started no workerd');
  // skopeo tries TLS first, on which workerd would hang.
  const front = await listenInFront('127.0.0.1', 0);
  front.open({ host: '127.0.0.1', port: Number(new URL(url).port) });
  return {
    url,
    host: `127.0.0.1:${String(front.port)}`,
    pid,
    close: async () => {
      await front.close();
      await miniflare.dispose();
    },
  };
}
