/** What is deployed: its size, and the time that it takes to start. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildWorker } from '../../../src/publisher/deploy/deployment.ts';
import { openWrangler } from '../../../src/publisher/deploy/wrangler.ts';
import { OWN_CONFIG } from '../../../src/publisher/local/wrangler-config.ts';
import { must } from '../../interop/programs.ts';
import { type Bench, type Part } from '../bench.ts';
import { digits, type Section, shown } from '../section.ts';
import { type Spread, spreadOf } from '../statistics.ts';

const KIB = 1_024;

/** Measures the bundle. */
export const bundle: Part = async (bench) => [await deployed(bench)];

async function deployed({ folder, rounds, tell }: Bench): Promise<Section> {
  tell('building the Worker');
  const built = join(folder, 'worker');
  const { bytes, gzipBytes } = await buildWorker(await openWrangler(OWN_CONFIG, process.env), built);
  tell('starting it');
  const { compile, evaluate, whole } = await startOf(built, rounds * 4);
  return {
    title: 'The Worker as it is deployed',
    note:
      'One module, as Wrangler builds and minifies it; gzip at its best. Pages, filling from upstreams, checks of tokens and signed addresses are compiled with the rest and evaluated ' +
      'when they are first needed. Times are those of a fresh V8 (that of Node), in processor time.',
    columns: ['what', 'minified', 'and gzip', 'time'],
    rows: [
      ['the Worker', kib(bytes), kib(gzipBytes), shown(whole, ms)],
      ['  compile', '', '', shown(compile, ms)],
      ['  evaluate', '', '', shown(evaluate, ms)],
    ],
    targets: [
      { what: 'size of the Worker, gzip', wanted: 'told', found: kib(gzipBytes), met: true },
      { what: 'processor time to start the Worker', wanted: 'told', found: shown(whole, ms), met: true },
    ],
  };
}

interface Start {
  readonly compile: Spread;
  readonly evaluate: Spread;
  /** Both. */
  readonly whole: Spread;
}

/** How long the Worker takes to start, each time in a process of its own. */
async function startOf(folder: string, times: number): Promise<Start> {
  const program = fileURLToPath(new URL('../parse-time.ts', import.meta.url));
  const starts: { compile: number; evaluate: number }[] = [];
  for (let at = 0; at < times; at++) {
    const args = ['--no-warnings', '--experimental-vm-modules', program, join(folder, 'index.js')];
    starts.push(JSON.parse(await must(process.execPath, args)) as (typeof starts)[number]);
  }
  return {
    compile: spreadOf(starts.map(({ compile }) => compile)),
    evaluate: spreadOf(starts.map(({ evaluate }) => evaluate)),
    whole: spreadOf(starts.map(({ compile, evaluate }) => compile + evaluate)),
  };
}

function kib(bytes: number): string {
  return `${(bytes / KIB).toFixed(1)} KiB`;
}

function ms(value: number): string {
  return `${digits(value)} ms`;
}
