/**
 * Makes of the command's sources and its libraries the few files that are started (`dist/gantry`), a piece for each command: reading some hundred modules and taking the types
 * off them takes longer than most commands do.
 */
import { rm, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = `${root}dist/gantry`;

/**
 * Takes Node's own modules as they are instead of importing them: an import reads every export there is, and with `node:http` that loads the whole of undici, which nobody here
 * needs and which takes as long as most commands.
 */
const ownModules: Plugin = {
  name: 'own-modules',
  setup: (builder) => {
    builder.onResolve({ filter: /^(node:)?[a-z_]+(\/[a-z]+)?$/ }, ({ path, kind }) =>
      isBuiltin(path) && (kind === 'import-statement' || kind === 'dynamic-import')
        ? { path: path.replace(/^(node:)?/, 'node:'), namespace: kind, sideEffects: false }
        : undefined,
    );
    builder.onLoad({ filter: /.*/, namespace: 'import-statement' }, ({ path }) => ({
      contents: `module.exports = ${taken(path)};`,
    }));
    builder.onLoad({ filter: /.*/, namespace: 'dynamic-import' }, ({ path }) => {
      // What has to be asked for (`http.WebSocket`) is what loads more.
      const members = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(path) ?? {})).filter(
        ([, descriptor]) => 'value' in descriptor,
      );
      return {
        contents: `const own = ${taken(path)};\nexport default own;\nexport const { ${members.map(([name]) => name).join(', ')} } = own;`,
      };
    });
  },
};

/** The expression that gives a module of Node's. */
function taken(name: string): string {
  return `process.getBuiltinModule(${JSON.stringify(name)})`;
}

await rm(outdir, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: [`${root}src/publisher/main.ts`],
  outdir,
  absWorkingDir: root,
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
  banner: {
    js: "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);",
  },
  plugins: [ownModules],
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: true,
  metafile: true,
  sourcesContent: false,
  legalComments: 'external',
  logLevel: 'warning',
});
// What it was made of, for whoever starts it (bin/gantry.js): looking for all sources takes longer than looking at these.
const sources = Object.keys(metafile.inputs).filter((path) => path.startsWith('src/'));
await writeFile(`${outdir}/sources.txt`, ['package.json', 'bin/build.ts', ...sources].join('\n'));
