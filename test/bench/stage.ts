/**
 * What is measured, side by side on this machine: Gantry, the floors it stands on, and its peers. All Workers run in
 * one workerd, under Miniflare's API and on sockets of their own (`wrangler dev` would add a proxy to each request),
 * over one bucket.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from 'miniflare';
import { makeStateFolder } from '../../src/publisher/local/folder.ts';
import { type Front, listenInFront } from '../../src/publisher/local/front.ts';
import { clientOf, localTarget } from '../../src/publisher/local/open-local.ts';
import { bundleWorker, WORKER_BUILD, type WorkerBundle } from '../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG, readLocalBucket } from '../../src/publisher/local/wrangler-config.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openSource } from '../../src/publisher/sources/open.ts';
import { steadyConnection } from '../../src/publisher/stores/connection.ts';
import { parseTagged } from '../../src/publisher/cli/image-name.ts';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { readRealmTable } from '../../src/publisher/cli/realm-table.ts';
import type { WriteStore } from '../../src/registry/store.ts';
import { type DockerRegistry, startDockerRegistry } from '../interop/docker-registry.ts';
import { must } from '../interop/programs.ts';
import { BARE_READ, CONSTANT, LOGGED_READ } from './floors.ts';
import { descendants } from './process-figures.ts';

/** A server under measurement. */
export interface Subject {
  readonly title: string;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** The process that answers; null where it is not ours to look at. */
  readonly pid: number | null;
}

/** Everything on the stage. */
export interface Stage {
  /** As it is deployed: every request is logged. */
  readonly gantry: Subject;
  /**
   * The same with `LOG=failures`: logging is what a floor does not do, and under Miniflare every line goes through a
   * pipe to Node.
   */
  readonly quietGantry: Subject;
  /** The same behind a stand-in for Workers Cache (test/worker/behind-cache.ts). */
  readonly cachedGantry: Subject;
  /** The same over a bucket that fails now and then (test/worker/faulty.ts). */
  readonly faultyGantry: Subject;
  /** A Worker that answers `/<n>` with n constant bytes. */
  readonly constant: Subject;
  /** A Worker that answers `/<key>` with the object of that key, by one bare `env.BUCKET.get` (or `.head`). */
  readonly bareRead: Subject;
  /** The same, with a line of the log for each. */
  readonly loggedRead: Subject;
  readonly dockerRegistry: Subject & { readonly host: string; readonly folder: string };
  /** Other registries that were asked for; they have the images too. */
  readonly peers: readonly (Subject & { readonly host: string })[];
  /** Gantry's bucket. */
  readonly store: WriteStore;
  /** The bucket by S3, as environment variables for the command. */
  readonly s3: Readonly<Record<string, string>>;
  readonly bucket: string;
  /** Puts an image of skopeo's `dir:` into the bucket alone. */
  publishHere(folder: string, image: string): Promise<void>;
  /** Puts it into the bucket and into every registry. */
  publish(folder: string, image: string): Promise<void>;
  close(): Promise<void>;
}

/** Another registry to measure with the same load. */
export type Peer =
  /** One that runs already, and that `skopeo copy` can write to. */
  | { readonly kind: 'url'; readonly title: string; readonly url: string }
  /** A Worker, by its wrangler.toml; it runs beside the others with a bucket of its own. */
  | { readonly kind: 'worker'; readonly title: string; readonly config: string };

/** Starts everything below `folder`. `vars`: variables for Gantry's Worker. */
export async function openStage(
  folder: string,
  options: { peers?: readonly Peer[]; vars?: Readonly<Record<string, string>> } = {},
): Promise<Stage> {
  const peers = options.peers ?? [];
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const state = await makeStateFolder(join(folder, 'state'));
    const bucket = await readLocalBucket();
    const reach = { accessKeyId: randomBytes(16).toString('hex'), secretAccessKey: randomBytes(32).toString('hex') };
    const own = await bundleWorker(OWN_CONFIG);
    const variant = async (module: string): Promise<WorkerBundle> => ({
      code: await bundleModule(fileURLToPath(new URL(`../worker/${module}`, import.meta.url))),
      options: { ...own.options, bindings: { ...own.options.bindings, ...options.vars } },
    });
    const [cached, faulty] = [await variant('behind-cache.ts'), await variant('faulty.ts')];
    const workerOf = (
      name: string,
      { code, options: bound }: Pick<WorkerBundle, 'code' | 'options'>,
      buckets: V4WorkerOptions['r2Buckets'],
    ): V4WorkerOptions => ({
      compatibilityDate: '2026-10-01',
      ...bound,
      name,
      modules: [{ type: 'ESModule', path: 'index.js', contents: code }],
      ...(buckets === undefined ? {} : { r2Buckets: buckets }),
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    });
    // A floor has no disadvantage of its own: what Gantry does without, it does without.
    const flags = { compatibilityFlags: own.options.compatibilityFlags ?? [] };
    const foreign = await Promise.all(
      peers.flatMap((peer) => (peer.kind === 'worker' ? [readPeer(peer.title, peer.config)] : [])),
    );
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        host: '127.0.0.1',
        port: 0,
        cf: false,
        logRequests: false,
        resourcePersistencePath: state.persist,
        log: new Log(LogLevel.NONE),
        handleStructuredLogs: () => undefined,
        workers: [
          workerOf(
            'gantry',
            { ...own, options: { ...own.options, bindings: { ...own.options.bindings, ...options.vars } } },
            {
              BUCKET: { id: bucket, s3Credentials: reach },
            },
          ),
          workerOf(
            'quiet',
            {
              ...own,
              options: { ...own.options, bindings: { ...own.options.bindings, ...options.vars, LOG: 'failures' } },
            },
            { BUCKET: { id: bucket } },
          ),
          workerOf('behind-cache', cached, { BUCKET: { id: bucket } }),
          workerOf('faulty', faulty, { BUCKET: { id: bucket } }),
          workerOf('constant', { code: CONSTANT, options: flags }, undefined),
          workerOf('bare-read', { code: BARE_READ, options: flags }, { BUCKET: { id: bucket } }),
          workerOf('logged-read', { code: LOGGED_READ, options: flags }, { BUCKET: { id: bucket } }),
          ...foreign.map(({ title, bundle }) => workerOf(title, bundle, bundle.options.r2Buckets)),
        ],
      }),
    );
    undo.push(() => miniflare.dispose());
    const endpoint = new URL('/cdn-cgi/local/r2/s3', await miniflare.ready).href;
    const [workerd] = descendants(process.pid, 'workerd');
    if (workerd === undefined) throw new Error('Miniflare started no workerd');
    const subject = async (title: string, name = title): Promise<Subject> => ({
      title,
      url: (await miniflare.unsafeGetDirectURL(name)).origin,
      pid: workerd,
    });
    const target = localTarget(state, { ...steadyConnection(clientOf({ endpoint, ...reach })), bucket: () => bucket });
    undo.push(() => target.close());
    const registryFolder = join(folder, 'docker-registry');
    await mkdir(registryFolder);
    const dockerRegistry = await startDockerRegistry(registryFolder);
    undo.push(() => dockerRegistry.close());
    const others = await Promise.all(
      peers.map(async (peer) => {
        if (peer.kind === 'url') return { title: peer.title, url: peer.url, pid: null, host: new URL(peer.url).host };
        const worker = await subject(peer.title);
        // skopeo tries TLS first, on which workerd would hang.
        const front = await inFrontOf(worker.url);
        undo.push(() => front.close());
        return { ...worker, host: `127.0.0.1:${String(front.port)}` };
      }),
    );
    const publisher = await createPublisher({
      store: target.store,
      realms: await readRealmTable(OWN_CONFIG),
      signer: createSigner(newKey()),
    });
    const publishHere: Stage['publishHere'] = async (from, image) => {
      const source = await openSource(`dir:${from}`, { env: {}, platforms: [] });
      try {
        await publisher.publish(source, parseTagged(image));
      } finally {
        await source.close();
      }
    };
    return {
      gantry: await subject('Gantry', 'gantry'),
      quietGantry: await subject('Gantry, LOG=failures', 'quiet'),
      cachedGantry: await subject('Gantry behind a cache', 'behind-cache'),
      faultyGantry: await subject('Gantry over faults', 'faulty'),
      constant: await subject('constant Worker', 'constant'),
      bareRead: await subject('bare read Worker', 'bare-read'),
      loggedRead: await subject('bare read, a line each', 'logged-read'),
      dockerRegistry: subjectOf(dockerRegistry, registryFolder),
      peers: others,
      store: target.store,
      s3: {
        AWS_ENDPOINT_URL: endpoint,
        AWS_ACCESS_KEY_ID: reach.accessKeyId,
        AWS_SECRET_ACCESS_KEY: reach.secretAccessKey,
      },
      bucket,
      publishHere,
      publish: async (from, image) => {
        await publishHere(from, image);
        for (const { host } of [dockerRegistry, ...others]) {
          await must('skopeo', ['copy', '-q', '--dest-tls-verify=false', `dir:${from}`, `docker://${host}/${image}`]);
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Bundles a module as local/worker-bundle.ts does with what wrangler.toml names. */
async function bundleModule(path: string): Promise<string> {
  const { outputFiles } = await build({
    ...WORKER_BUILD,
    entryPoints: [path],
    write: false,
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  return outputFiles[0]?.text ?? '';
}

function subjectOf({ host, pid }: DockerRegistry, folder: string): Stage['dockerRegistry'] {
  return {
    title: 'docker-registry 2.8.2',
    url: `http://${host}`,
    pid,
    host,
    folder: join(folder, 'data/docker/registry/v2/repositories'),
  };
}

async function readPeer(
  title: string,
  config: string,
): Promise<{ readonly title: string; readonly bundle: WorkerBundle }> {
  return { title, bundle: await bundleWorker(config) };
}

async function inFrontOf(url: string): Promise<Front> {
  const front = await listenInFront('127.0.0.1', 0);
  front.open({ host: '127.0.0.1', port: Number(new URL(url).port) });
  return front;
}
