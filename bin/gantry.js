#!/usr/bin/env node
/**
 * Starts the command `gantry`: the bundle (bin/build.ts) in an installed package, the sources in a checkout. This is
 * plain JavaScript without new syntax, so that an old Node can print the version error instead of a syntax error.
 */
import * as module from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`error: gantry needs Node 22.18 or later, and this is ${process.version}
   do: In a checkout, run \`npm run gantry -- …\`, which uses the Node in node_modules. Elsewhere, install a newer Node.
`);
  process.exit(1);
}

// Compiling takes half of the time of most commands. A package that root has installed cannot be written by others.
const cache = module.enableCompileCache(fileURLToPath(new URL('../dist/compile-cache', import.meta.url)));
if (cache.status === module.constants.compileCacheStatus.FAILED) {
  const { XDG_CACHE_HOME = '' } = process.env;
  module.enableCompileCache(join(isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), '.cache'), 'gantry'));
}

// Sources in a checkout change; those of an installed package do not, and Node strips no types below node_modules.
const isInstalled = /[\\/]node_modules[\\/]/.test(fileURLToPath(import.meta.url));
await import(new URL(isInstalled ? '../dist/gantry/main.js' : '../src/publisher/main.ts', import.meta.url).href);
