/** The local registry: the Worker over the local store, on a port of this machine. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../cli/errors.ts';
import { steadyConnection } from '../stores/connection.ts';
import { DEFAULT_STATE, type Target } from '../stores/target.ts';
import { announce, readAnnouncement, withdraw } from './announcement.ts';
import { makeStateFolder, type StateFolder } from './folder.ts';
import { type Front, listenInFront } from './front.ts';
import { type Lock, tryLock } from './lock.ts';
import { answers, clientOf, localTarget } from './open-local.ts';
import { type Simulator, startSimulator } from './simulator.ts';
import { bundleWorker } from './worker-bundle.ts';
import { OWN_CONFIG, readLocalBucket } from './wrangler-config.ts';

/** Where to serve what. */
export interface ServerOptions {
  /** 0: any free one. */
  readonly port: number;
  readonly host?: string;
  readonly state?: string;
  /** The wrangler.toml that names the Worker. */
  readonly config?: string;
  /** Variables for the Worker, over those of wrangler.toml. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Takes what the Worker logs. */
  readonly onLog?: (line: string) => void;
  /** Takes what a person should know meanwhile. */
  readonly tell?: (message: string) => void;
  /** Done before the first request is answered; who asks meanwhile waits. */
  readonly prepare?: (store: Pick<LocalServer, 'folder' | 'target'>) => Promise<void>;
}

/** A running local registry. */
export interface LocalServer {
  /** `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly folder: StateFolder;
  /** The store that it serves. */
  readonly target: Target;
  /** Ends it. Safe to call twice. */
  close(): Promise<void>;
}

/** Starts the local registry. Throws {@link CommandError}: port in use, state in use, no Miniflare, a Worker that cannot be built. */
export async function startServer(options: ServerOptions): Promise<LocalServer> {
  const { port, host = '127.0.0.1', state = DEFAULT_STATE, config = OWN_CONFIG, onLog, tell } = options;
  const folder = await makeStateFolder(state);
  const undo: (() => unknown)[] = [];
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      for (const step of undo.reverse()) await step();
    })());
  try {
    const front = await listen(host, port);
    undo.push(() => front.close());
    const lock = await takeStore(folder, tell);
    undo.push(() => lock.release());
    const bucket = await readLocalBucket(config);
    const bundle = await bundleWorker(config);
    const worker = {
      ...bundle,
      options: { ...bundle.options, bindings: { ...bundle.options.bindings, ...options.vars } },
    };
    const simulator = await startSimulator({
      persist: folder.persist,
      bucket,
      worker,
      ...(onLog === undefined ? {} : { onLog }),
    });
    undo.push(() => simulator.stop());
    const url = urlOf(front);
    const reach = {
      endpoint: simulator.endpoint,
      accessKeyId: simulator.accessKeyId,
      secretAccessKey: simulator.secretAccessKey,
    };
    undo.push(() => withdraw(folder.announcement));
    await announce(folder.announcement, { pid: process.pid, kind: 'server', url, bucket, ...reach });
    const target = localTarget(folder, { ...steadyConnection(clientOf(reach)), bucket: () => bucket });
    undo.push(() => target.close());
    await options.prepare?.({ folder, target });
    front.open(addressOf(simulator));
    return { url, folder, target, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listen(host: string, port: number): Promise<Front> {
  try {
    return await listenInFront(host, port);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const where = `${host}:${String(port)}`;
    if (code === 'EADDRINUSE')
      throw new CommandError(`port ${String(port)} is in use`, {
        hint: `End what listens on ${where}, or take another port with --port.`,
        cause,
      });
    if (code === 'EACCES')
      throw new CommandError(`this user may not listen on ${where}`, {
        hint: 'Take a port above 1023 with --port.',
        cause,
      });
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new CommandError(`this machine has no address ${host}`, {
        hint: 'Give one that it has with --host.',
        cause,
      });
    throw cause;
  }
}

/** Waits for commands that have the store open; does not wait for another server. */
async function takeStore(folder: StateFolder, tell: ServerOptions['tell']): Promise<Lock> {
  const began = performance.now();
  for (let told = false; ;) {
    const lock = tryLock(folder.lock);
    if (lock !== null) return lock;
    const other = await readAnnouncement(folder.announcement);
    if (other?.kind === 'server' && (await answers(other))) {
      throw new CommandError(
        `the local store (${folder.title}) is already served at ${other.url ?? other.endpoint} by process ${String(other.pid)}`,
        {
          hint: 'Use that one, end it, or serve another folder with --state.',
        },
      );
    }
    if (!told && performance.now() - began > 1_000) {
      told = true;
      tell?.(
        `waiting for the local store (${folder.title}), which ${other === null ? 'another process' : `process ${String(other.pid)}`} is writing`,
      );
    }
    await sleep(100);
  }
}

function addressOf({ worker }: Simulator): { host: string; port: number } {
  if (worker === null) throw new Error('the simulator runs no Worker');
  return { host: worker.hostname, port: Number(worker.port) };
}

function urlOf({ host, port }: Front): string {
  // An address that means "all of them" is none that a client can use.
  const shown = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${shown}:${String(port)}`;
}
