#!/usr/bin/env node
/**
 * Starts the command `gantry`: the bundle (bin/build.ts) in an installed package, the sources in a checkout. This is
 * plain JavaScript without new syntax, so that an old Node can print the version error instead of a syntax error.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`error: gantry needs Node 22.18 or later, and this is ${process.version}
   do: In a checkout, run \`npm run gantry -- …\`, which uses the Node in node_modules. Elsewhere, install a newer Node.
`);
  process.exit(1);
}

// Sources in a checkout change; those of an installed package do not, and Node strips no types below node_modules.
if (import.meta.url.includes('/node_modules/')) {
  await import('./start-bundle.js');
} else {
  // Compiling takes half of the time of most commands.
  const { enableCompileCache } = process.getBuiltinModule('node:module');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  enableCompileCache(fileURLToPath(new URL('../dist/compile-cache', import.meta.url)));
  await import('../src/publisher/main.ts');
}
