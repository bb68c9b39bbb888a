/**
 * Bundles the command and its libraries into `dist/gantry`, one chunk for each command: loading some hundred modules
 * and removing their types takes a third of the processor time of `gantry ls`. The argument names another folder.
 */
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = process.argv[2] ?? `${root}dist/gantry`;

await rm(outdir, { recursive: true, force: true });
await build({
  entryPoints: [`${root}src/publisher/main.ts`],
  outdir,
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.18',
  // ES modules can be tree-shaken, so they are preferred where a library has both.
  conditions: ['module'],
  mainFields: ['module', 'main'],
  // Programs with files of their own. They are development dependencies and may be absent where the package is
  // installed.
  external: ['miniflare', 'wrangler', 'workerd', 'esbuild'],
  // CommonJS libraries load Node's modules with `require`.
  banner: {
    js: "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);",
  },
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'external',
  logLevel: 'warning',
});
