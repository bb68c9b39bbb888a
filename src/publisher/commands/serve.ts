import { type Command, InvalidArgumentError } from 'commander';
import type { Environment } from '../cli/environment.ts';
import { CommandError } from '../cli/errors.ts';
import type { LocalServer } from '../local/server.ts';
import { DEFAULT_STATE, type OpenTarget } from '../stores/target.ts';

interface Options {
  readonly port: number;
  readonly host: string;
  readonly state: string;
  readonly config?: string;
  readonly json?: true;
}

const DEFAULT_PORT = 8787;

/** Adds `gantry serve`. */
export function register(program: Command, _openTarget: OpenTarget, environment: Environment): void {
  program
    .command('serve')
    .description('serve the local store: the Worker itself, on this machine')
    .option('--port <port>', 'where to listen; 0: any free port', readPort, DEFAULT_PORT)
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--state <folder>', 'where the local store is', DEFAULT_STATE)
    .option('--config <file>', 'the wrangler.toml of the Worker (default: the one that came with gantry)')
    .option('--json', 'print one line of JSON once it serves')
    .addHelpText(
      'after',
      `
A new store gets a demo image, demo/hello:latest. \`gantry publish\` writes into the store while it is served as well as while it is not.

Examples:
  $ gantry serve
  $ gantry serve --port 5000 --state ./registry
  $ docker run --rm 127.0.0.1:8787/demo/hello

Exit code: 0 ended by Ctrl-C, 1 it could not be served (a port in use, …), 2 wrong usage.`,
    )
    .action((options: Options) => run(options, environment));
}

async function run(options: Options, environment: Environment): Promise<void> {
  const [{ startServer }, { seedDemo }, { abortOnInterrupt }] = await Promise.all([
    import('../local/server.ts'),
    import('../local/demo.ts'),
    import('../cli/interrupt.ts'),
  ]);
  const signal = abortOnInterrupt();
  const { port, host, state, config } = options;
  const tell = (message: string): void => void process.stderr.write(`${message}\n`);
  // Whoever asked for JSON gets the Worker's lines as they are.
  const onLog = options.json === true ? tell : (text: string): void => tell(requestLine(text) ?? text);
  const own = config === undefined ? {} : { config };
  // Whoever waits for the address finds the image there.
  const prepare = (store: Parameters<typeof seedDemo>[0]): Promise<void> =>
    seedDemo(store, environment.keyFile, { signal, tell, ...own }).catch((error: unknown) => {
      // Where no key can be kept, all else can be served.
      if (!(error instanceof CommandError)) throw error;
      tell(`warning: there is no demo image: ${error.message}`);
    });
  let server: LocalServer | undefined;
  try {
    server = await startServer({ port, host, state, tell, onLog, prepare, ...own });
    process.stdout.write(
      options.json === true
        ? `${JSON.stringify({ url: server.url, state: server.folder.root, pid: process.pid })}\n`
        : welcome(server.url, server.target.title),
    );
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } catch (error) {
    // To end it is not to interrupt it: it has no other end.
    if (!signal.aborted) throw error;
  } finally {
    await server?.close();
  }
}

/** A request as the Worker logs it, in a line for people; null for anything else. */
export function requestLine(text: string): string | null {
  if (!text.startsWith('{')) return null;
  let line: Record<string, unknown>;
  try {
    line = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (line.event !== 'request') return null;
  const told = ['status', 'method', 'kind', 'name', 'tag', 'digest', 'form', 'reason', 'client'].map(
    (member) => line[member],
  );
  const words = told.filter((value) => typeof value === 'string' || typeof value === 'number').map(String);
  return typeof line.ms === 'number' ? `${words.join(' ')} ${String(line.ms)} ms` : words.join(' ');
}

function welcome(url: string, title: string): string {
  const { host } = new URL(url);
  return `Gantry serves ${url} from the ${title}

  docker run --rm ${host}/demo/hello
  gantry publish dir:FOLDER NAME:TAG
  gantry explain demo/hello:latest

Ctrl-C ends it.
`;
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('Give a number from 0 to 65535.');
  return port;
}
