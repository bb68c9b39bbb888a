#!/usr/bin/env node
/**
 * Starts the command `gantry`: what was built of it (bin/build.ts), or the sources where these are newer. Plain JavaScript that any Node can read, so that one that is too old
 * is told so instead of failing over syntax.
 */
import { readFileSync, statSync } from 'node:fs';
import * as module from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = `${root}dist/gantry/main.js`;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`error: gantry needs Node 22.18 or later, and this is ${process.version}
   do: In a checkout, \`npm run gantry -- …\` finds the right one in node_modules; elsewhere install a newer Node.
`);
  process.exit(1);
}

// Compiling takes longer than most commands. Where the folder cannot be written nothing is kept, and nothing said.
module.enableCompileCache(`${root}dist/compile-cache`);

await import(isFresh() ? pathToFileURL(built).href : new URL('../src/publisher/main.ts', import.meta.url).href);

/** Whether what is built is to be started: it is there, and nothing that it was made of is newer or gone. */
function isFresh() {
  const at = changedAt(built);
  if (at === undefined) return false;
  // Nobody edits an installed package: its files are as old as their unpacking, in whatever order, and Node takes no types off below node_modules.
  if (/[\\/]node_modules[\\/]/.test(root)) return true;
  let sources;
  try {
    sources = readFileSync(`${root}dist/gantry/sources.txt`, 'utf8');
  } catch {
    return false;
  }
  return sources.split('\n').every((path) => (changedAt(root + path) ?? Infinity) <= at);
}

/** When a file was last changed, in milliseconds since the epoch; undefined if there is none. */
function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
