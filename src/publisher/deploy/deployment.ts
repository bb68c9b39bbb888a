/** A Worker that was built, as files that Wrangler uploads as they are: Wrangler's own bundling would put everything into the one module that is read at the start. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import type { SplitWorker } from '../local/worker-bundle.ts';

/** Writes the Worker and a configuration for it, which is that of `config` (a wrangler.toml) in all else, hands over the configuration's path, and removes everything after. */
export async function withDeployment<Result>(config: string, worker: SplitWorker, use: (config: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-deploy-'));
  try {
    const code = join(folder, 'worker');
    await mkdir(code);
    for (const { name, contents, sourceMap } of worker.modules) {
      await writeFile(join(code, name), contents);
      await writeFile(join(code, `${name}.map`), sourceMap);
    }
    const path = join(folder, 'wrangler.json');
    await writeFile(path, JSON.stringify({ ...parse(await readFile(config, 'utf8')), ...asBuilt(code) }));
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
