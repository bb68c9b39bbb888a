/** Workers that were built, as files that Wrangler uploads as they are: its own bundling would put everything into the one module that is read at the start. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { annexFlagsOf } from '../local/annex-flags.ts';
import type { SplitWorker, SplitWorkers } from '../local/worker-bundle.ts';

/** Paths of configurations that Wrangler deploys by. */
export interface Deployment {
  readonly worker: string;
  readonly annex: string | null;
}

/**
 * Writes Worker and annex with a configuration for each, hands over the configurations' paths, and removes everything after. The Worker's is `config` (a wrangler.toml) in
 * all but the code; the annex's follows from it, so that nothing stands in two places.
 */
export async function withDeployment<Result>(
  config: string,
  { worker, annex }: Pick<SplitWorkers, 'worker' | 'annex'>,
  use: (deployment: Deployment) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-deploy-'));
  try {
    const toml = parse(await readFile(config, 'utf8'));
    return await use({
      worker: await write(join(folder, 'worker'), worker, toml),
      annex: annex === null ? null : await write(join(folder, 'annex'), annex, annexConfigOf(toml, annex.name)),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What holds for the annex, too. */
const SHARED = ['compatibility_date', 'account_id', 'r2_buckets', 'observability', 'send_metrics'] as const;

/** The annex's configuration: nobody but the Worker reaches it, which tells it all settings. */
export function annexConfigOf(
  toml: Readonly<Record<string, unknown>>,
  name: string,
): Readonly<Record<string, unknown>> {
  const { compatibility_flags: flags } = toml;
  return {
    ...Object.fromEntries(SHARED.filter((key) => key in toml).map((key) => [key, toml[key]])),
    // What is no list Wrangler refuses.
    ...(flags !== undefined && { compatibility_flags: Array.isArray(flags) ? annexFlagsOf(flags.map(String)) : flags }),
    name,
    workers_dev: false,
    preview_urls: false,
  };
}

async function write(
  folder: string,
  { modules }: SplitWorker,
  config: Readonly<Record<string, unknown>>,
): Promise<string> {
  const code = join(folder, 'code');
  await mkdir(code, { recursive: true });
  for (const { name, contents, sourceMap } of modules) {
    await writeFile(join(code, name), contents);
    await writeFile(join(code, `${name}.map`), sourceMap);
  }
  const path = join(folder, 'wrangler.json');
  await writeFile(path, JSON.stringify({ ...config, ...asBuilt(code) }));
  return path;
}

/** What the configuration says of the code. */
function asBuilt(folder: string): Readonly<Record<string, unknown>> {
  return {
    main: join(folder, 'index.js'),
    base_dir: folder,
    no_bundle: true,
    find_additional_modules: true,
    rules: [{ type: 'ESModule', globs: ['**/*.js'] }],
    // Minified code says nothing in a stack trace.
    upload_source_maps: true,
  };
}
