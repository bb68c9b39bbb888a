/** The Worker as one module for local use, with the bindings and flags of its wrangler.toml. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type * as EsbuildModule from 'esbuild';
import type { BuildOptions } from 'esbuild';
import type { V4WorkerOptions } from 'miniflare';
import { messageOf } from '../../registry/values/error-message.ts';
import { CommandError } from '../cli/errors.ts';

/** Bindings and flags as Miniflare takes them. */
export type WorkerOptions = Readonly<
  Pick<V4WorkerOptions, 'compatibilityDate' | 'compatibilityFlags' | 'bindings' | 'r2Buckets'>
>;

/** A Worker that is ready to run. */
export interface WorkerBundle {
  /** One ES module. */
  readonly code: string;
  readonly options: WorkerOptions;
}

/** A Worker as its wrangler.toml describes it. */
export interface ConfiguredWorker extends WorkerBundle {
  /** Whether wrangler.toml switches pull statistics on, by the binding PULLS. */
  readonly countsPulls: boolean;
}

/** Bundles the Worker that `config` (a wrangler.toml) names. Throws {@link CommandError}. */
export async function bundleWorker(config: string): Promise<ConfiguredWorker> {
  const { main, workerOptions, define, countsPulls } = await readConfig(config);
  const code = await inTurn(() => buildModule(main, { ...define, 'process.env.NODE_ENV': '"production"' }));
  return { code, options: workerOptions, countsPulls };
}

async function buildModule(main: string, define: Readonly<Record<string, string>>): Promise<string> {
  const { build, stop } = await importEsbuild();
  try {
    const { outputFiles } = await build({ ...WORKER_BUILD, entryPoints: [main], write: false, define });
    return outputFiles[0]?.text ?? '';
  } catch (cause) {
    throw new CommandError(`the Worker ${main} cannot be built: ${messageOf(cause)}`, { cause });
  } finally {
    await stop();
  }
}

let lastBuild: Promise<unknown> = Promise.resolve();

/** Runs builds one after the other: esbuild has one service in a process, and a build never ends if it is stopped. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = lastBuild.then(work);
  lastBuild = turn.catch(() => undefined);
  return turn;
}

/** How esbuild makes modules that workerd runs. */
export const WORKER_BUILD = {
  bundle: true,
  format: 'esm',
  target: 'es2024',
  platform: 'browser',
  // As Wrangler resolves packages for workerd.
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:*', 'node:*'],
  loader: { '.txt': 'text', '.html': 'text', '.css': 'text', '.svg': 'text', '.bin': 'binary' },
  logLevel: 'silent',
} as const satisfies BuildOptions;

interface Config {
  readonly main: string;
  readonly define: Record<string, string>;
  readonly workerOptions: WorkerOptions;
  readonly countsPulls: boolean;
}

// Wrangler's own reading of its file, so that nothing differs from `wrangler dev`. In a process of its own: Wrangler
// takes more memory than all the rest together.
const READER = `
import { unstable_getMiniflareWorkerOptions } from 'wrangler';
const { main, define, workerOptions } = unstable_getMiniflareWorkerOptions(process.argv[1]);
delete workerOptions.modulesRules;
// Cloudflare keeps these: locally, their bindings are made of files.
delete workerOptions.mtlsCertificates;
const countsPulls = 'PULLS' in (workerOptions.analyticsEngineDatasets ?? {});
delete workerOptions.analyticsEngineDatasets;
process.stdout.write('\\n' + JSON.stringify({ main, define, workerOptions, countsPulls }));
`;

async function readConfig(config: string): Promise<Config> {
  const fail = (why: string, cause: unknown): CommandError =>
    new CommandError(`${config} cannot be read: ${why}`, {
      hint: 'It must be a wrangler.toml, and Wrangler must be installed.',
      cause,
    });
  let output: string;
  try {
    const ran = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', READER, '--', config], {
      cwd: import.meta.dirname,
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1' },
      maxBuffer: 64 * 2 ** 20,
    });
    output = ran.stdout;
  } catch (cause) {
    const lines = ((cause as { stderr?: string }).stderr ?? '').split('\n').map((line) => line.trim());
    // `UserError: Processing FILE configuration:`, and on the lines after it what is wrong.
    const at = lines.findIndex((line) => /^\w*Error: /.test(line));
    const said =
      at < 0 ? undefined : [lines[at], ...lines.slice(at + 1).filter((line) => line.startsWith('- '))].join(' ');
    throw fail(said ?? messageOf(cause), cause);
  }
  // Wrangler may have warned on the lines before.
  const read = JSON.parse(output.slice(output.lastIndexOf('\n') + 1)) as Partial<Config>;
  if (read.main === undefined || read.workerOptions === undefined) throw fail('it names no Worker (main)', undefined);
  return {
    main: read.main,
    define: read.define ?? {},
    workerOptions: read.workerOptions,
    countsPulls: read.countsPulls === true,
  };
}

async function importEsbuild(): Promise<typeof EsbuildModule> {
  try {
    return await import('esbuild');
  } catch (cause) {
    throw new CommandError('building the Worker needs esbuild, which is not installed', {
      hint: 'Install it with `npm install -g gantry-registry --include=optional`, which brings it.',
      cause,
    });
  }
}
