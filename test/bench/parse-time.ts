/**
 * How long a Worker's module takes to compile and to evaluate: what happens before the first request. A program of its own, since nothing may be warm; it needs
 * `--experimental-vm-modules`. Reads the module from the file of its argument; prints both times in milliseconds as JSON.
 */
import { readFileSync } from 'node:fs';
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

const code = readFileSync(process.argv[2] ?? '', 'utf8');
const context = createContext(Object.fromEntries(INTERFACES.map((name) => [name, Reflect.get(globalThis, name) as unknown])));
const begun = performance.now();
const module = new SourceTextModule(code, { context });
const compiled = performance.now();
await module.link((specifier) => {
  if (specifier !== 'cloudflare:workers') throw new Error(`the Worker imports ${specifier}`);
  const runtime: SyntheticModule = new SyntheticModule(['WorkerEntrypoint'], () => runtime.setExport('WorkerEntrypoint', Object), { context });
  return runtime;
});
const linked = performance.now();
await module.evaluate();
process.stdout.write(JSON.stringify({ compile: compiled - begun, evaluate: performance.now() - linked }));
