import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_STATE, type Environment } from '../cli/environment.ts';
import { CommandError } from '../cli/errors.ts';
import { withRealms } from '../../bucket/realm-mark.ts';
import { DEFAULT_LISTEN, type ListenAddress, parseListenAddress } from '../cli/listen-address.ts';
import { readRealmTable } from '../cli/realm-table.ts';
import { printJson, printMessage } from '../cli/terminal-text.ts';
import { addNotifyOption, type NotifyOption, openNotifier } from '../cli/notify-option.ts';
import type { Notifier } from '../notify/notifier.ts';
import type { PushEndpoint } from '../receive/open.ts';
import { publishedLine } from './receive.ts';
import { type CertificateTable, parseCertificateOption } from '../local/client-certificates.ts';
import type { LocalServer } from '../local/server.ts';
import { type OpenTarget } from '../stores/target.ts';

interface Options extends NotifyOption {
  readonly port: number;
  readonly host: string;
  readonly state: string;
  readonly config?: string;
  readonly certificate: CertificateTable;
  readonly push?: ListenAddress | true;
  readonly stats?: true;
  readonly json?: true;
}

const DEFAULT_PORT = 8787;

/** Adds `gantry serve`. */
export function register(program: Command, _openTarget: OpenTarget, environment: Environment): void {
  const command = program
    .command('serve')
    .description('serve the local store: run the Worker on this machine')
    .option('--port <port>', 'the port to listen on; 0 for any free port', readPort, DEFAULT_PORT)
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--state <folder>', 'the folder of the local store', DEFAULT_STATE)
    .option('--config <file>', 'the wrangler.toml of the Worker (default: the one in the gantry package)')
    .addOption(
      new Option(
        '--certificate <binding=certificate,key>',
        'a client certificate for upstreams, in PEM files (repeat the option for several)',
      )
        .argParser(readCertificate)
        .default({}, 'none'),
    )
    .option(
      '--push [address:port]',
      'accept pushes into the local store, as `gantry receive` does (default: 127.0.0.1:5000)',
      parseListenAddress,
    )
    .option(
      '--stats',
      'count pulls for `gantry stats` and the pages (default: where wrangler.toml has the binding PULLS)',
    )
    .option('--json', 'print one line of JSON once the server is ready');
  addNotifyOption(command)
    .addHelpText(
      'after',
      `
A new store gets a demo image, demo/hello:latest. \`gantry publish\` can write to the store while it is served.

Examples:
  $ gantry serve
  $ gantry serve --port 8080 --state ./registry
  $ gantry serve --push
  $ docker push 127.0.0.1:5000/team/app:1
  $ docker run --rm 127.0.0.1:8787/demo/hello

Exit codes: 0 ended by Ctrl-C, 1 the server could not start (e.g. the port is in use), 2 usage error.`,
    )
    .action((options: Options) => run(options, environment));
}

async function run(options: Options, environment: Environment): Promise<void> {
  const [{ startServer }, { seedDemo }, { abortOnInterrupt }] = await Promise.all([
    import('../local/server.ts'),
    import('../local/demo.ts'),
    import('../cli/interrupt.ts'),
  ]);
  const signal = abortOnInterrupt({ patient: true });
  const { port, host, state, config, certificate } = options;
  const push = options.push === true ? DEFAULT_LISTEN : options.push;
  // A message may have several lines, e.g. the stack of an error in the Worker.
  const print = (message: string): void => message.split('\n').forEach(printMessage);
  const pass = (message: string): void => void process.stderr.write(`${message}\n`);
  // With --json, the Worker's log lines are passed on unchanged.
  const onLog = options.json === true ? pass : (text: string): void => print(requestLine(text) ?? text);
  // esbuild has a working folder of its own.
  const own = config === undefined ? {} : { config: resolve(config) };
  // The address is printed after the image is published.
  const prepare = (store: Parameters<typeof seedDemo>[0]): Promise<void> =>
    seedDemo(store, environment.keyFile, { signal, onMessage: print, ...own }).catch((error: unknown) => {
      // Without a signing key, everything else can still be served.
      if (!(error instanceof CommandError)) throw error;
      print(`warning: the demo image was not published: ${error.message}`);
    });
  const notifier = await openNotifier(options, environment.variables, (message) => print(`warning: ${message}`));
  let server: LocalServer | undefined;
  let pushes: PushEndpoint | undefined;
  try {
    // Before the store is opened, which takes a while.
    if (push !== undefined) (await import('../receive/open.ts')).refuseOpenAddress(push.host, false);
    server = await startServer({
      port,
      host,
      state,
      onMessage: print,
      onLog,
      prepare,
      certificates: certificate,
      ...(options.stats === true && { countPulls: true }),
      ...own,
    });
    if (push !== undefined) pushes = await takePushes(server, push, { signal, config, print, notifier }, environment);
    if (options.json === true)
      printJson({
        url: server.url,
        state: server.folder.root,
        pid: process.pid,
        ...(pushes && { push: pushes.address }),
      });
    else process.stdout.write(welcome(server.url, server.target.title, pushes?.address));
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } catch (error) {
    // Ctrl-C is the normal way to end the server, not a failure.
    if (!signal.aborted) throw error;
  } finally {
    await pushes?.close();
    await server?.close();
  }
}

/** Starts the push endpoint over the store that is served. */
async function takePushes(
  { target }: LocalServer,
  push: ListenAddress,
  {
    signal,
    config,
    print,
    notifier,
  }: {
    readonly signal: AbortSignal;
    readonly config: string | undefined;
    readonly print: (message: string) => void;
    readonly notifier: Notifier | null;
  },
  { keyFile }: Environment,
): Promise<PushEndpoint> {
  const [realms, { DEFAULT_MAX_BLOB, openPushEndpoint }] = await Promise.all([
    readRealmTable(config),
    import('../receive/open.ts'),
  ]);
  return openPushEndpoint({
    store: withRealms(target.store, realms, null),
    realms,
    keyFile,
    notifier,
    ...push,
    login: null,
    allowDelete: true,
    recompress: undefined,
    maxBlob: DEFAULT_MAX_BLOB,
    signal,
    onMessage: print,
    onPublished: (result) => print(publishedLine(result)),
  });
}

/** Formats a request that the Worker logged as a line of text; null for any other log line. */
export function requestLine(text: string): string | null {
  if (!text.startsWith('{')) return null;
  let line: Record<string, unknown>;
  try {
    line = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (line.event !== 'request') return null;
  const values = ['status', 'method', 'kind', 'name', 'tag', 'digest', 'form', 'reason', 'client'].map(
    (member) => line[member],
  );
  const words = values.filter((value) => typeof value === 'string' || typeof value === 'number').map(String);
  return typeof line.ms === 'number' ? `${words.join(' ')} ${String(line.ms)} ms` : words.join(' ');
}

function welcome(url: string, title: string, push: string | undefined): string {
  const { host } = new URL(url);
  return `Gantry serves ${url} from the ${title}

  docker run --rm ${host}/demo/hello
  ${push === undefined ? 'gantry publish dir:FOLDER NAME:TAG' : `docker push ${push}/NAME:TAG`}
  gantry explain demo/hello:latest

Press Ctrl-C to stop.
`;
}

function readCertificate(text: string, before: CertificateTable): CertificateTable {
  const parsed = parseCertificateOption(text);
  if (parsed === null) throw new InvalidArgumentError('Give BINDING=CERTIFICATE,KEY, with two files in PEM.');
  const [binding, { certificate, key }] = parsed;
  return { ...before, [binding]: { certificate: resolve(certificate), key: resolve(key) } };
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('Give a number from 0 to 65535.');
  return port;
}
