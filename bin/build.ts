/**
 * Bundles the command and its libraries: loading some hundred modules and removing their types takes a third of the
 * processor time of `gantry ls`. What a command does not use is parsed, but neither compiled nor run. The argument names
 * another folder than `dist/gantry`.
 *
 * - `main.cjs` is the command.
 * - `libraries.cjs` has the libraries that few commands use. They are two thirds of the code, and V8 takes time for each
 *   function in a file, even if it is not called.
 *
 * Both are CommonJS, because V8 gives the compiled code of a script, and of a module only as it was loaded
 * (bin/start-bundle.js).
 */
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = process.argv[2] ?? `${root}dist/gantry`;

/** Imported by modules that are loaded when a command needs them. */
const LIBRARIES = [
  '@aws-sdk/credential-provider-node',
  '@sigstore/bundle',
  '@sigstore/protobuf-specs',
  '@sigstore/verify',
  '@smithy/core/config',
  'semver',
  'undici',
  'yaml',
];

/** Loads Node's modules when something of them is used first. Imports would load all at the start. */
const lazyBuiltins: Plugin = {
  name: 'lazy builtins',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : undefined,
    );
    // esbuild copies the own properties of what a module exports. Those of its prototype are read when they are used.
    bundle.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `
        let builtin;
        const get = (_, key) => (builtin ??= process.getBuiltinModule(${JSON.stringify(path)}))[key];
        module.exports = Object.create(new Proxy({}, { get }));`,
    }));
  },
};

/** Takes the libraries from their own file. */
const libraries: Plugin = {
  name: 'libraries',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^\.\/libraries\.cjs$/ }, ({ path }) => ({ path, external: true }));
    bundle.onResolve({ filter: /^[^./]/ }, ({ path }) =>
      LIBRARIES.includes(path) ? { path, namespace: 'library' } : undefined,
    );
    bundle.onLoad({ filter: /.*/, namespace: 'library' }, ({ path }) => ({
      contents: `module.exports = require('./libraries.cjs')[${JSON.stringify(path)}]();`,
    }));
  },
};

const options = {
  absWorkingDir: root,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node22.18',
  // ES modules can be tree-shaken, so they are preferred where a library has both.
  conditions: ['module'],
  mainFields: ['module', 'main'],
  // Programs with files of their own. They are development dependencies and may be absent where the package is
  // installed.
  external: ['miniflare', 'wrangler', 'workerd', 'esbuild'],
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'importMetaUrl', 'import.meta.dirname': '__dirname' },
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'external',
  logLevel: 'warning',
} as const satisfies BuildOptions;

await rm(outdir, { recursive: true, force: true });
await build({
  ...options,
  entryPoints: [`${root}src/publisher/main.ts`],
  outfile: `${outdir}/main.cjs`,
  plugins: [libraries, lazyBuiltins],
});
await build({
  ...options,
  stdin: {
    contents: `module.exports = { ${LIBRARIES.map((name) => `'${name}': () => require('${name}')`).join(', ')} };`,
    resolveDir: root,
  },
  outfile: `${outdir}/libraries.cjs`,
  plugins: [lazyBuiltins],
});
