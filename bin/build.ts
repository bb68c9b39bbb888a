/**
 * Makes of the command's sources and its libraries the few files that are started (`dist/gantry`), a piece for each command: reading some hundred modules and taking the types
 * off them takes longer than most commands do.
 */
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = `${root}dist/gantry`;

await rm(outdir, { recursive: true, force: true });
await build({
  entryPoints: [`${root}src/publisher/main.ts`],
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.18',
  // Libraries as ES modules where they come as both, of which only what is used is taken.
  conditions: ['module'],
  mainFields: ['module', 'main'],
  // Programs rather than libraries: they have files of their own, and are not there where the package is installed without them.
  external: ['miniflare', 'wrangler', 'workerd', 'esbuild'],
  // Libraries in CommonJS ask for Node's modules by it.
  banner: { js: "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);" },
  keepNames: true,
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'external',
  logLevel: 'warning',
});
