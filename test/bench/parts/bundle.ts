/** What is deployed: how long it is, how long it takes to start. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ModuleSize, sizeOf } from '../../../src/publisher/deploy/worker-size.ts';
import { type SplitWorker, splitWorkers } from '../../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG } from '../../../src/publisher/local/wrangler-config.ts';
import { must } from '../../interop/programs.ts';
import { type Bench, type Part } from '../bench.ts';
import { atMost, digits, type Section, shown } from '../section.ts';
import { type Spread, spreadOf } from '../statistics.ts';

const KIB = 1_024;

/** Measures the bundle. */
export const bundle: Part = async (bench) => [await deployed(bench)];

async function deployed({ folder, rounds, tell }: Bench): Promise<Section> {
  tell('bundling the Worker');
  const { worker, annex } = await splitWorkers(OWN_CONFIG);
  const { modules } = sizeOf(worker);
  const first = modules.filter(({ atStart }) => atStart);
  const later = modules.filter(({ atStart }) => !atStart);
  tell('starting it');
  const start = await startOf(join(folder, 'worker'), worker, rounds * 4);
  const second =
    annex === null
      ? null
      : { modules: sizeOf(annex).modules, start: await startOf(join(folder, 'annex'), annex, rounds * 4) };
  return {
    title: 'The Worker as it is deployed',
    note:
      'Minified by esbuild, gzip at its best, each module by itself. What every request needs is there at the start; checks of tokens and signed addresses are loaded when first asked ' +
      'for. Times are those of a fresh V8 (that of Node), in processor time. workerd evaluates what waits when it is asked for, but compiles it at the start (unless its experimental ' +
      'flag new_module_registry is on), so both together are what a start costs there. The annex is a second Worker, which starts when somebody asks for a page or for what is not stored.',
    columns: ['what', 'minified', 'and gzip', 'time'],
    rows: [
      ['at the start', kib(plain(first)), kib(zipped(first)), shown(start.first, ms)],
      ['  compile', '', '', shown(start.compile, ms)],
      ['  evaluate', '', '', shown(start.evaluate, ms)],
      ['later, when asked for (compile)', kib(plain(later)), kib(zipped(later)), shown(start.waiting, ms)],
      ['together', kib(plain(modules)), kib(zipped(modules)), shown(start.whole, ms)],
      ...(second === null
        ? []
        : [
            [
              'the annex, together',
              kib(plain(second.modules)),
              kib(zipped(second.modules)),
              shown(second.start.whole, ms),
            ],
          ]),
    ],
    targets: [
      atMost('the Worker, all of it, minified and gzip', 60, zipped(modules), kib),
      atMost('its start-up, with what waits compiled too', 15, start.whole, ms),
    ],
  };
}

interface Start {
  readonly compile: Spread;
  readonly evaluate: Spread;
  /** Both. */
  readonly first: Spread;
  /** Compiling what waits until it is asked for. */
  readonly waiting: Spread;
  readonly whole: Spread;
}

/** How long the Worker takes to start, each time in a process of its own. */
async function startOf(folder: string, { modules }: SplitWorker, times: number): Promise<Start> {
  await mkdir(folder);
  for (const { name, contents } of modules) await writeFile(join(folder, name), contents);
  const program = fileURLToPath(new URL('../parse-time.ts', import.meta.url));
  const starts: { compile: number; evaluate: number; compileWaiting: number }[] = [];
  for (let at = 0; at < times; at++) {
    starts.push(
      JSON.parse(
        await must(process.execPath, ['--no-warnings', '--experimental-vm-modules', program, folder]),
      ) as (typeof starts)[number],
    );
  }
  const spread = (of: (start: (typeof starts)[number]) => number): Spread => spreadOf(starts.map(of));
  return {
    compile: spread(({ compile }) => compile),
    evaluate: spread(({ evaluate }) => evaluate),
    first: spread(({ compile, evaluate }) => compile + evaluate),
    waiting: spread(({ compileWaiting }) => compileWaiting),
    whole: spread(({ compile, evaluate, compileWaiting }) => compile + evaluate + compileWaiting),
  };
}

type Sizes = readonly Pick<ModuleSize, 'bytes' | 'zipped'>[];

function plain(modules: Sizes): number {
  return modules.reduce((sum, { bytes }) => sum + bytes, 0) / KIB;
}

function zipped(modules: Sizes): number {
  return modules.reduce((sum, module) => sum + module.zipped, 0) / KIB;
}

function kib(value: number): string {
  return `${value.toFixed(1)} KiB`;
}

function ms(value: number): string {
  return `${digits(value)} ms`;
}
