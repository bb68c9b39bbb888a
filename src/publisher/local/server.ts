/** The local registry: the Worker with the local store, on a port of this machine. */
import { DEFAULT_STATE } from '../cli/environment.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseRealmTable, type RealmTable, RealmTableError } from '../../registry/realms.ts';
import { CommandError } from '../cli/errors.ts';
import { refuseLostRealms } from '../cli/lost-realms.ts';
import { steadyConnection } from '../stores/connection.ts';
import { type Target } from '../stores/target.ts';
import { announce, readAnnouncement, withdraw } from './announcement.ts';
import { certificateServices, type CertificateTable } from './client-certificates.ts';
import { makeStateFolder, type StateFolder } from './folder.ts';
import { type Front, listenInFront } from './front.ts';
import { type Lock, tryLock } from './lock.ts';
import { outboundNetwork } from './network.ts';
import { answers, clientOf, localTarget } from './open-local.ts';
import { claimObjects } from './other-programs.ts';
import { type Simulator, startSimulator } from './simulator.ts';
import { bundleWorker } from './worker-bundle.ts';
import { OWN_CONFIG, readLocalBucket } from './wrangler-config.ts';

/** How the local registry is served. */
export interface ServerOptions {
  /** 0 for any free port. */
  readonly port: number;
  readonly host?: string;
  readonly state?: string;
  /** The wrangler.toml of the Worker. */
  readonly config?: string;
  /** Variables for the Worker, which override those of wrangler.toml. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Client certificates for upstreams, by the binding that a rule names. */
  readonly certificates?: CertificateTable;
  /** Whether pulls are counted; without it, wrangler.toml decides. */
  readonly countPulls?: boolean;
  /** Receives the Worker's log lines. */
  readonly onLog?: (line: string) => void;
  /** Receives messages for the user. */
  readonly onMessage?: (message: string) => void;
  /** Runs before the first request is answered; requests wait until it is done. */
  readonly prepare?: (store: Pick<LocalServer, 'folder' | 'target'>) => Promise<void>;
}

/** A running local registry. */
export interface LocalServer {
  /** `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly folder: StateFolder;
  /** The served store. */
  readonly target: Target;
  /** Stops the server. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts the local registry. Throws {@link CommandError} if the port or the store is in use, Miniflare is missing, or
 * the Worker cannot be built.
 */
export async function startServer(options: ServerOptions): Promise<LocalServer> {
  const { port, host = '127.0.0.1', state = DEFAULT_STATE, config = OWN_CONFIG, onLog, onMessage } = options;
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
    const lock = await takeStore(folder, onMessage);
    undo.push(() => lock.release());
    await claimObjects(folder);
    const bucket = await readLocalBucket(config);
    const bundle = await bundleWorker(config);
    const bindings = { ...bundle.options.bindings, ...options.vars };
    const worker = { ...bundle, options: { ...bundle.options, bindings } };
    const network = await outboundNetwork(bindings, process.env);
    const pulls =
      (options.countPulls ?? bundle.countsPulls)
        ? (await import('../statistics/local-events.ts')).openLocalEvents(folder.pulls)
        : undefined;
    undo.push(() => pulls?.close());
    const simulator = await startSimulator({
      persist: folder.persist,
      bucket,
      worker,
      network,
      certificates: await certificateServices(options.certificates ?? {}, network, process.env),
      ...(pulls !== undefined && { pulls }),
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
    await announce(folder.announcement, {
      pid: process.pid,
      kind: 'server',
      url,
      bucket,
      simulators: simulator.pids,
      ...reach,
    });
    const target = localTarget(folder, { ...steadyConnection(clientOf(reach)), bucket: () => bucket });
    undo.push(() => target.close());
    await refuseLostRealms(target, tableOf(bindings));
    await options.prepare?.({ folder, target });
    front.open(addressOf(simulator));
    return { url, folder, target, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The Worker's realm table. Throws {@link CommandError}. */
function tableOf({ REALMS, DEFAULT_ACCESS }: Readonly<Record<string, unknown>>): RealmTable {
  try {
    return parseRealmTable(REALMS, DEFAULT_ACCESS);
  } catch (cause) {
    if (!(cause instanceof RealmTableError)) throw cause;
    throw new CommandError(cause.message, { hint: 'Correct REALMS in wrangler.toml.', cause });
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
        hint: `Stop the process that listens on ${where}, or choose another port with --port.`,
        cause,
      });
    if (code === 'EACCES')
      throw new CommandError(`this user is not allowed to listen on ${where}`, {
        hint: 'Choose a port above 1023 with --port.',
        cause,
      });
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new CommandError(`this machine has no address ${host}`, {
        hint: 'Choose an address of this machine with --host.',
        cause,
      });
    throw cause;
  }
}

/** Locks the store. Waits for commands that have it open, but not for another server. */
async function takeStore(folder: StateFolder, onMessage: ServerOptions['onMessage']): Promise<Lock> {
  const began = performance.now();
  for (let notified = false; ;) {
    const lock = tryLock(folder.lock);
    if (lock !== null) return lock;
    const other = await readAnnouncement(folder.announcement);
    if (other?.kind === 'server' && (await answers(other))) {
      throw new CommandError(
        `the local store (${folder.title}) is already served at ${other.url ?? other.endpoint} by process ${String(other.pid)}`,
        {
          hint: 'Use that server, stop it, or serve another folder with --state.',
        },
      );
    }
    if (!notified && performance.now() - began > 1_000) {
      notified = true;
      onMessage?.(
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
  // A client cannot use the wildcard address.
  const shown = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${shown}:${String(port)}`;
}
