/**
 * Bundles the command and its libraries into one file, `dist/gantry/main.js`: loading some hundred modules and removing
 * their types takes a third of the processor time of `gantry ls`. What a command does not use is parsed, but neither
 * compiled nor run. The argument names another folder.
 */
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = process.argv[2] ?? `${root}dist/gantry`;

/** Loads Node's modules where they are used first: imports of an ES module would load all at the start. */
const lazyBuiltins: Plugin = {
  name: 'lazy builtins',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : undefined,
    );
    bundle.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

await rm(outdir, { recursive: true, force: true });
await build({
  entryPoints: [`${root}src/publisher/main.ts`],
  outdir,
  absWorkingDir: root,
  bundle: true,
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
  minify: true,
  plugins: [lazyBuiltins],
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'external',
  logLevel: 'warning',
});
