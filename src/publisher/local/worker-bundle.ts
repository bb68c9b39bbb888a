/** The Worker and its annex as code: each in one module for local use, in several to be deployed. Bindings and flags are those of the Worker's wrangler.toml. */
import { execFile } from 'node:child_process';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import type * as EsbuildModule from 'esbuild';
import type { BuildOptions, Metafile } from 'esbuild';
import type { V4WorkerOptions } from 'miniflare';
import { CommandError } from '../cli/errors.ts';

/** Bindings and flags as Miniflare takes them. */
export type WorkerOptions = Readonly<
  Pick<V4WorkerOptions, 'compatibilityDate' | 'compatibilityFlags' | 'bindings' | 'r2Buckets' | 'serviceBindings'>
>;

/** A Worker that is ready to run. */
export interface WorkerBundle {
  /** One ES module. */
  readonly code: string;
  readonly options: WorkerOptions;
  /** What stands behind the binding ANNEX, in one ES module; null where there is none. */
  readonly annex: { readonly name: string; readonly code: string } | null;
}

/** Bundles the Worker that `config` (a wrangler.toml) names, and its annex. Throws {@link CommandError}. */
export async function bundleWorker(config: string): Promise<WorkerBundle> {
  const { main, workerOptions, define } = await readConfig(config);
  const name = annexOf(workerOptions);
  const bundle = async (entry: string): Promise<string> => {
    const { outputFiles } = await run(entry, {
      ...WORKER_BUILD,
      entryPoints: [entry],
      write: false,
      define: { ...define, ...PRODUCTION },
    });
    return outputFiles?.[0]?.text ?? '';
  };
  return {
    code: await bundle(main),
    options: workerOptions,
    annex: name === null ? null : { name, code: await bundle(annexMain(main)) },
  };
}

/** The name of the Worker behind the binding ANNEX. */
function annexOf({ serviceBindings }: WorkerOptions): string | null {
  const { ANNEX } = (serviceBindings ?? {}) as { readonly ANNEX?: { readonly name?: unknown } };
  return typeof ANNEX?.name === 'string' ? ANNEX.name : null;
}

// The annex stands beside the Worker whose annex it is.
function annexMain(main: string): string {
  return join(dirname(main), 'annex.ts');
}

/** A Worker in several modules, minified. */
export interface SplitWorker {
  /** The entry point stands first. */
  readonly modules: readonly WorkerModule[];
}

/** A Worker and its annex to be deployed. */
export interface SplitWorkers {
  readonly worker: SplitWorker;
  /** null where the Worker has no binding ANNEX. */
  readonly annex: (SplitWorker & { readonly name: string }) | null;
  /** Of the Worker. */
  readonly options: WorkerOptions;
}

/** One ES module of a {@link SplitWorker}. */
export interface WorkerModule {
  /** Its file's name, by which the others import it. */
  readonly name: string;
  readonly contents: Uint8Array;
  /** For stack traces. */
  readonly sourceMap: Uint8Array;
  /** The source file that leads to it: the entry point, or what `import()` names; null for what several of them share. Below the folder of the wrangler.toml. */
  readonly source: string | null;
  /** All source files that something of is in it; below the same folder. */
  readonly inputs: readonly string[];
  /**
   * Whether it is evaluated before the first request. The others wait until `import()` asks for them; workerd parses them at the start all the same, functions lazily,
   * as long as its flag `new_module_registry` is experimental.
   */
  readonly atStart: boolean;
}

/** Builds the Worker that `config` (a wrangler.toml) names, and its annex, in such a way that each starts with what every request needs, and no more. Throws {@link CommandError}. */
export async function splitWorkers(config: string): Promise<SplitWorkers> {
  const read = await readConfig(config);
  const folder = dirname(resolve(config));
  const name = annexOf(read.workerOptions);
  return {
    worker: await split(read.main, folder, read.define),
    annex: name === null ? null : { name, ...(await split(annexMain(read.main), folder, read.define)) },
    options: read.workerOptions,
  };
}

async function split(main: string, folder: string, define: Config['define']): Promise<SplitWorker> {
  const outdir = resolve(folder, 'split-worker');
  const { outputFiles, metafile } = await run(main, {
    ...WORKER_BUILD,
    absWorkingDir: folder,
    entryPoints: { index: main },
    // Nothing is written there; modules are named relative to it.
    outdir,
    splitting: true,
    minify: true,
    sourcemap: true,
    metafile: true,
    write: false,
    define: { ...define, ...PRODUCTION },
  });
  const files = new Map(outputFiles?.map(({ path, contents }) => [relative(outdir, path), contents]));
  const modules = modulesOf(metafile?.outputs ?? {}, (path) => relative(outdir, resolve(folder, path)));
  return {
    modules: modules.map((module) => {
      const [contents, sourceMap] = [files.get(module.name), files.get(`${module.name}.map`)];
      if (contents === undefined || sourceMap === undefined) throw new Error(`esbuild gave no ${module.name}`);
      return { ...module, contents, sourceMap };
    }),
  };
}

/** Tells modules from esbuild's account of what it wrote: those that the entry point imports, by however many steps, are there at the start. */
function modulesOf(
  outputs: Metafile['outputs'],
  nameOf: (path: string) => string,
): readonly Omit<WorkerModule, 'contents' | 'sourceMap'>[] {
  const paths = Object.keys(outputs).filter((path) => path.endsWith('.js'));
  const entry = paths.find((path) => nameOf(path) === 'index.js');
  const start = new Set(entry === undefined ? [] : [entry]);
  for (const path of start) {
    for (const { kind, path: imported, external } of outputs[path]?.imports ?? []) {
      if (kind === 'import-statement' && external !== true) start.add(imported);
    }
  }
  return [...start, ...paths.filter((path) => !start.has(path))].map((path) => ({
    name: nameOf(path),
    source: outputs[path]?.entryPoint ?? null,
    inputs: Object.entries(outputs[path]?.inputs ?? {}).flatMap(([input, { bytesInOutput }]) =>
      bytesInOutput > 0 ? [input] : [],
    ),
    atStart: start.has(path),
  }));
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

const PRODUCTION = { 'process.env.NODE_ENV': '"production"' };

async function run(main: string, options: BuildOptions): Promise<EsbuildModule.BuildResult> {
  const { build, stop } = await importEsbuild();
  try {
    return await build(options);
  } catch (cause) {
    throw new CommandError(
      `the Worker ${main} cannot be built: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  } finally {
    await stop();
  }
}

interface Config {
  readonly main: string;
  readonly define: Record<string, string>;
  readonly workerOptions: WorkerOptions;
}

// Wrangler's own reading of its file, so that nothing differs from `wrangler dev`. In a process of its own: Wrangler takes more memory than all the rest together.
const READER = `
import { unstable_getMiniflareWorkerOptions } from 'wrangler';
const { main, define, workerOptions } = unstable_getMiniflareWorkerOptions(process.argv[1]);
delete workerOptions.modulesRules;
process.stdout.write('\\n' + JSON.stringify({ main, define, workerOptions }));
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
    throw fail(said ?? (cause instanceof Error ? cause.message : String(cause)), cause);
  }
  // Wrangler may have warned on the lines before.
  const read = JSON.parse(output.slice(output.lastIndexOf('\n') + 1)) as Partial<Config>;
  if (read.main === undefined || read.workerOptions === undefined) throw fail('it names no Worker (main)', undefined);
  return { main: read.main, define: read.define ?? {}, workerOptions: read.workerOptions };
}

async function importEsbuild(): Promise<typeof EsbuildModule> {
  try {
    return await import('esbuild');
  } catch (cause) {
    throw new CommandError('building the Worker needs esbuild, which is not installed', {
      hint: 'Install it with `npm install --save-dev wrangler`, which brings it.',
      cause,
    });
  }
}
