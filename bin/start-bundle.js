/**
 * Runs the bundle (bin/build.ts) with the code that V8 compiled in an earlier run of the same command. It is kept in
 * `$XDG_CACHE_HOME/gantry`, by default `~/.cache/gantry`. Node's own compile cache holds only the code that loading a
 * module compiles. Most of a command's code is compiled later, when a function is called for the first time.
 */

// An import statement would read all that a module exports, for which `node:fs` loads its streams.
const { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } = process.getBuiltinModule('node:fs');
const { createRequire } = process.getBuiltinModule('node:module');
const { homedir } = process.getBuiltinModule('node:os');
const { basename, dirname, isAbsolute, join } = process.getBuiltinModule('node:path');
const { fileURLToPath } = process.getBuiltinModule('node:url');
const { constants, Script } = process.getBuiltinModule('node:vm');
const { crc32 } = process.getBuiltinModule('node:zlib');

const { XDG_CACHE_HOME = '' } = process.env;
const caches = join(isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), '.cache'), 'gantry');
const command = process.argv.slice(2).find((word) => /^[a-z]{1,20}$/.test(word)) ?? 'gantry';
const main = fileURLToPath(new URL('../dist/gantry/main.cjs', import.meta.url));
const requireFromMain = createRequire(main);
/** The exports of the second file; it runs once, since libraries share modules. */
let libraries;
run(main);

/** Runs a file of the bundle as a CommonJS module, and returns its exports. */
function run(file) {
  const source = readFileSync(file);
  const cache = join(caches, `${command}-${basename(file)}`);
  const compiled = readCompiled(cache, crc32(source));
  // The bundle is ASCII.
  const script = new Script(
    `(function (module, exports, require, __filename, __dirname) {${source.latin1Slice()}\n})`,
    {
      filename: file,
      ...(compiled !== undefined && { cachedData: compiled }),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    },
  );
  if (compiled === undefined || script.cachedDataRejected === true) {
    process.on('exit', (code) => {
      if (code === 0) writeCompiled(cache, crc32(source), script.createCachedData());
    });
  }
  const module = { exports: {} };
  const require = (name) =>
    name === './libraries.cjs' ? (libraries ??= run(join(dirname(main), name))) : requireFromMain(name);
  script.runInThisContext()(module, module.exports, require, file, dirname(file));
  return module.exports;
}

/**
 * Reads compiled code that was kept for this source. V8 refuses what another version or other flags compiled, but of
 * the source it compares only the length. Undefined if there is none, if it is damaged, or if others could have written
 * it.
 */
function readCompiled(cache, sourceSum) {
  try {
    const { uid, mode } = statSync(cache);
    if (process.getuid !== undefined && (uid !== process.getuid() || (mode & 0o022) !== 0)) return undefined;
    const bytes = readFileSync(cache);
    const code = bytes.subarray(8);
    return bytes.readUInt32LE(0) === sourceSum && bytes.readUInt32LE(4) === crc32(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps compiled code. Where nothing can be written, the next run compiles again. */
function writeCompiled(cache, sourceSum, code) {
  const sums = Buffer.alloc(8);
  sums.writeUInt32LE(sourceSum, 0);
  sums.writeUInt32LE(crc32(code), 4);
  const partial = `${cache}.${String(process.pid)}`;
  try {
    mkdirSync(caches, { recursive: true, mode: 0o700 });
    writeFileSync(partial, Buffer.concat([sums, code]), { mode: 0o600, flag: 'wx' });
    renameSync(partial, cache);
  } catch {
    // It costs time alone.
  }
}
