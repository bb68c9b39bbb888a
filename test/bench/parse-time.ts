/**
 * How long a Worker's modules take to compile and to evaluate: what happens before the first request. A program of its own, since nothing may be warm; it needs
 * `--experimental-vm-modules`. Its argument is the folder of the modules, whose entry is `index.js`; prints milliseconds of processor time as JSON, which other programs
 * on the machine do not lengthen: `compile` and `evaluate` of what the entry imports, `compileWaiting` of the other modules in the folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, SourceTextModule, SyntheticModule } from 'node:vm';

// What Workers have of the web's interfaces, Node has too; the language's own every context has.
const INTERFACES = [
  ...[
    'AbortController',
    'AbortSignal',
    'Event',
    'EventTarget',
    'FormData',
    'Headers',
    'ReadableStream',
    'Request',
    'Response',
    'TextDecoder',
    'TextEncoder',
  ],
  ...[
    'TransformStream',
    'URL',
    'URLPattern',
    'URLSearchParams',
    'WritableStream',
    'atob',
    'btoa',
    'console',
    'crypto',
    'CryptoKey',
    'fetch',
    'setTimeout',
  ],
];

const folder = process.argv[2] ?? '.';
const context = createContext(
  Object.fromEntries(INTERFACES.map((name) => [name, Reflect.get(globalThis, name) as unknown])),
);
const modules = new Map<string, SourceTextModule | SyntheticModule>();
let compile = 0;

function moduleOf(name: string): SourceTextModule | SyntheticModule {
  const known = modules.get(name);
  if (known !== undefined) return known;
  const module = name === 'cloudflare:workers' ? runtime() : compiled(readFileSync(join(folder, name), 'utf8'));
  modules.set(name, module);
  return module;
}

function compiled(code: string): SourceTextModule {
  const begun = process.cpuUsage();
  const module = new SourceTextModule(code, { context });
  compile += since(begun);
  return module;
}

function runtime(): SyntheticModule {
  const module: SyntheticModule = new SyntheticModule(
    ['WorkerEntrypoint'],
    () => module.setExport('WorkerEntrypoint', Object),
    { context },
  );
  return module;
}

function since(begun: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000;
}

const entry = moduleOf('index.js');
await entry.link((specifier) => moduleOf(specifier.replace(/^\.\//, '')));
const begun = process.cpuUsage();
await entry.evaluate();
const evaluate = since(begun);
const compileStart = compile;
for (const name of readdirSync(folder)) if (name.endsWith('.js')) moduleOf(name);
process.stdout.write(JSON.stringify({ compile: compileStart, evaluate, compileWaiting: compile - compileStart }));
