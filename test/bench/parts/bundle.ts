/** What is deployed: how long it is, how long it takes to start. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sizeOf } from '../../../src/publisher/deploy/worker-size.ts';
import { splitWorker } from '../../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG } from '../../../src/publisher/local/wrangler-config.ts';
import { must } from '../../interop/programs.ts';
import { type Bench, type Part } from '../bench.ts';
import { atMost, digits, type Section, shown } from '../section.ts';
import { spreadOf } from '../statistics.ts';

const KIB = 1_024;

/** Measures the bundle. */
export const bundle: Part = async (bench) => [await deployed(bench)];

async function deployed({ folder, rounds, tell }: Bench): Promise<Section> {
  tell('bundling the Worker');
  const worker = await splitWorker(OWN_CONFIG);
  for (const { name, contents } of worker.modules) await writeFile(join(folder, name), contents);
  const { modules } = sizeOf(worker);
  const zipped = (of: typeof modules): number => of.reduce((sum, module) => sum + module.zipped, 0) / KIB;
  const plain = (of: typeof modules): number => of.reduce((sum, { bytes }) => sum + bytes, 0) / KIB;
  const first = modules.filter(({ atStart }) => atStart);
  const later = modules.filter(({ atStart }) => !atStart);
  tell('starting it');
  const times: { compile: number; evaluate: number; compileWaiting: number }[] = [];
  const program = fileURLToPath(new URL('../parse-time.ts', import.meta.url));
  for (let at = 0; at < rounds * 4; at++) {
    times.push(JSON.parse(await must(process.execPath, ['--no-warnings', '--experimental-vm-modules', program, folder])) as (typeof times)[number]);
  }
  const [compile, evaluate] = [spreadOf(times.map((time) => time.compile)), spreadOf(times.map((time) => time.evaluate))];
  const start = spreadOf(times.map((time) => time.compile + time.evaluate));
  const waiting = spreadOf(times.map((time) => time.compileWaiting));
  const whole = spreadOf(times.map((time) => time.compile + time.evaluate + time.compileWaiting));
  const kib = (value: number): string => `${value.toFixed(1)} KiB`;
  const ms = (value: number): string => `${digits(value)} ms`;
  return {
    title: 'The Worker as it is deployed',
    note:
      'Minified by esbuild, gzip at its best, each module by itself. What every request needs is there at the start; pages, filling from other registries and tokens are loaded when ' +
      'first asked for. Times are those of a fresh V8 (that of Node), in processor time. workerd evaluates what waits when it is asked for, but compiles it at the start (unless its ' +
      'experimental flag new_module_registry is on), so both together are what a start costs there.',
    columns: ['what', 'minified', 'and gzip', 'time'],
    rows: [
      ['at the start', kib(plain(first)), kib(zipped(first)), shown(start, ms)],
      ['  compile', '', '', shown(compile, ms)],
      ['  evaluate', '', '', shown(evaluate, ms)],
      ['later, when asked for (compile)', kib(plain(later)), kib(zipped(later)), shown(waiting, ms)],
      ['together', kib(plain(modules)), kib(zipped(modules)), shown(whole, ms)],
    ],
    targets: [
      atMost('what it starts with, minified and gzip', 60, zipped(first), kib),
      atMost('all of it, minified and gzip', 60, zipped(modules), kib),
      atMost('start-up, of what it starts with', 15, start, ms),
      atMost('start-up, with what waits compiled too', 15, whole, ms),
    ],
  };
}
