/**
 * The time that a Worker's module takes to compile and to evaluate: what happens before the first request. A program of
 * its own, since nothing may be warm; it needs `--experimental-vm-modules`. Its argument is the module's path. It
 * prints milliseconds of processor time as JSON, which other programs on the machine do not lengthen.
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

const code = readFileSync(process.argv[2] ?? 'index.js', 'utf8');
const context = createContext(
  Object.fromEntries(INTERFACES.map((name) => [name, Reflect.get(globalThis, name) as unknown])),
);

/** A module of the platform: `cloudflare:workers`, or one of Node's. */
function platformModule(name: string): SyntheticModule {
  const members = name.startsWith('node:')
    ? (process.getBuiltinModule(name) as unknown as Record<string, unknown>)
    : { WorkerEntrypoint: Object };
  const names = Object.keys(members).filter((member) => member !== 'default');
  const module: SyntheticModule = new SyntheticModule(
    [...names, 'default'],
    () => {
      for (const member of names) module.setExport(member, members[member]);
      module.setExport('default', members);
    },
    { context },
  );
  return module;
}

function since(begun: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000;
}

let begun = process.cpuUsage();
const worker = new SourceTextModule(code, { context });
const compile = since(begun);
await worker.link((specifier) => platformModule(specifier));
begun = process.cpuUsage();
await worker.evaluate();
process.stdout.write(JSON.stringify({ compile, evaluate: since(begun) }));
