/** R2's own simulator (Miniflare) over a state folder, with its S3 endpoint and, for the server, the Worker. */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as MiniflareModule from 'miniflare';
import { messageOf } from '../../registry/values/error-message.ts';
import { CommandError } from '../cli/errors.ts';
import type { DataPoint } from '../../statistics/pull-event.ts';
import type { CertificateService } from './client-certificates.ts';
import type { OutboundNetwork } from './network.ts';
import { endWithThisProcess, startWithParent, workerdChildren } from './watchdog.ts';
import type { WorkerBundle } from './worker-bundle.ts';

/** A running simulator. */
export interface Simulator {
  /** The S3 API; loopback. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /**
   * Where the Worker itself listens: loopback, and without the development entry (which compresses answers and has
   * pages of its own).
   */
  readonly worker: URL | null;
  /** Its processes. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** What {@link startSimulator} needs. */
export interface SimulatorOptions {
  /** Miniflare's folder. */
  readonly persist: string;
  readonly bucket: string;
  /** The Worker to run; without it there is only storage. */
  readonly worker?: WorkerBundle;
  /** What the Worker may connect to. */
  readonly network?: OutboundNetwork;
  /** Bindings that show a client certificate. */
  readonly certificates?: Readonly<Record<string, CertificateService>>;
  /** Stands in for Analytics Engine; without it the Worker writes no data points. */
  readonly pulls?: PullStore;
  /** Receives the Worker's log lines. */
  readonly onLog?: (line: string) => void;
}

/** Where data points of pulls are kept, and read by SQL. */
export interface PullStore {
  readonly dataset: string;
  write(point: DataPoint): void;
  /** The answer in the SQL API's format JSON. Throws for invalid SQL. */
  query(sql: string): unknown;
}

const STORAGE_ONLY = 'export default { fetch: () => new Response(null, { status: 404 }) };\n';

// Miniflare takes no network as the outbound service, only a Worker with one.
const OUTBOUND = 'outbound';
const FORWARD = 'export default { fetch: (request, { NETWORK }) => NETWORK.fetch(request) };\n';

// Miniflare's own simulation of Analytics Engine keeps nothing.
const PULLS = 'pulls';
const PASS_ON = `
import { WorkerEntrypoint } from 'cloudflare:workers';
export class Pulls extends WorkerEntrypoint {
  async writeDataPoint(point) {
    await this.env.KEEP.fetch('http://pulls/', { method: 'POST', body: JSON.stringify(point) });
  }
}
export default { fetch: () => new Response(null, { status: 404 }) };
`;

// Clients that leave in the middle of a body: nothing is wrong, and there is nothing to do.
const HARMLESS = /Broken pipe|Connection reset by peer|disconnected: /;

/**
 * Starts the simulator. One at a time over a folder: the caller holds the folder's lock. Throws {@link CommandError}.
 */
export async function startSimulator({
  persist,
  bucket,
  worker,
  network,
  certificates = {},
  pulls,
  onLog,
}: SimulatorOptions): Promise<Simulator> {
  const { Miniflare, Response, convertV4MiniflareOptions, Log, LogLevel } = await importMiniflare();
  const s3Credentials = {
    accessKeyId: randomBytes(16).toString('hex'),
    secretAccessKey: randomBytes(32).toString('hex'),
  };
  const options = worker?.options ?? {};
  const endsWithParent = await startWithParent(createRequire(createRequire(import.meta.url).resolve('miniflare')));
  const restoreSignals = keepSignals();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: 0,
      cf: false,
      logRequests: false,
      resourcePersistencePath: persist,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ message }) => {
        if (!HARMLESS.test(message)) onLog?.(message);
      },
      workers: [
        {
          compatibilityDate: '2026-10-01',
          ...options,
          name: 'gantry',
          modules: [{ type: 'ESModule', path: 'index.js', contents: worker?.code ?? STORAGE_ONLY }],
          r2Buckets: {
            ...(Array.isArray(options.r2Buckets) ? {} : options.r2Buckets),
            BUCKET: { id: bucket, s3Credentials },
          },
          unsafeDirectSockets: worker === undefined ? [] : [{ host: '127.0.0.1', port: 0 }],
          serviceBindings: {
            ...certificates,
            ...(pulls !== undefined && {
              PULLS: { name: PULLS, entrypoint: 'Pulls' },
              PULLS_SQL: async (request) => Response.json(pulls.query(await request.text())),
            }),
          },
          bindings: {
            ...options.bindings,
            ...(pulls !== undefined && {
              PULLS_DATASET: pulls.dataset,
              PULLS_ACCOUNT: 'local',
              ANALYTICS_TOKEN: 'local',
            }),
          },
          ...(network !== undefined && { outboundService: OUTBOUND }),
        },
        ...(pulls === undefined
          ? []
          : [
              {
                name: PULLS,
                compatibilityDate: '2026-10-01',
                modules: [{ type: 'ESModule' as const, path: 'index.js', contents: PASS_ON }],
                serviceBindings: {
                  KEEP: async (request: MiniflareModule.Request) => {
                    pulls.write((await request.json()) as DataPoint);
                    return new Response(null, { status: 204 });
                  },
                },
              },
            ]),
        ...(network === undefined
          ? []
          : [
              {
                name: OUTBOUND,
                compatibilityDate: '2026-10-01',
                modules: [{ type: 'ESModule' as const, path: 'index.js', contents: FORWARD }],
                serviceBindings: { NETWORK: { network } },
              },
            ]),
      ],
    }),
  );
  restoreSignals();
  try {
    const entry = await miniflare.ready;
    const pids = await workerdChildren();
    const watchdog = endsWithParent ? null : endWithThisProcess(pids);
    return {
      endpoint: new URL('/cdn-cgi/local/r2/s3', entry).href,
      ...s3Credentials,
      worker: worker === undefined ? null : await miniflare.unsafeGetDirectURL('gantry'),
      pids,
      stop: async () => {
        await miniflare.dispose();
        watchdog?.dismiss();
      },
    };
  } catch (cause) {
    await miniflare.dispose().catch(() => undefined);
    throw new CommandError(`the local store could not be started: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Miniflare ends the process at once on Ctrl-C, in the middle of whatever it does. Where a command ends cleanly by
 * itself, that is undone: its own listener is there before. (What Miniflare does when the process exits stays.)
 */
function keepSignals(): () => void {
  const before = SIGNALS.map((signal) => process.listeners(signal));
  return () => {
    SIGNALS.forEach((signal, index) => {
      const own = before[index] ?? [];
      if (own.length === 0) return;
      for (const listener of process.listeners(signal)) if (!own.includes(listener)) process.off(signal, listener);
    });
  };
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const satisfies readonly NodeJS.Signals[];

/** Miniflare comes with the tools for development: publishing to S3 needs neither it nor its 100 MB. */
async function importMiniflare(): Promise<typeof MiniflareModule> {
  try {
    return await import('miniflare');
  } catch (cause) {
    throw new CommandError('the local store needs Miniflare, which is not installed', {
      hint: 'Install it with `npm install -g gantry-registry --include=optional`, or use --to s3://BUCKET.',
      cause,
    });
  }
}
