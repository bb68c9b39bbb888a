/** What is deployed: how long it is, how long it takes to start; and how long the one computation takes that grows with the image. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSigner } from '../../../src/manifest/jws.ts';
import { buildSchema1 } from '../../../src/manifest/schema1.ts';
import { sizeOf } from '../../../src/publisher/deploy/worker-size.ts';
import { newKey } from '../../../src/publisher/key-file.ts';
import { splitWorker } from '../../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG } from '../../../src/publisher/local/wrangler-config.ts';
import { must } from '../../interop/programs.ts';
import { type Bench, type Part } from '../bench.ts';
import { atMost, digits, type Section, shown } from '../section.ts';
import { spreadOf } from '../statistics.ts';

const KIB = 1_024;

/** Measures the bundle and the derivation of schema 1. */
export const bundle: Part = async (bench) => [await deployed(bench), await derivation(bench)];

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

async function derivation({ rounds, tell }: Bench): Promise<Section> {
  tell('deriving schema 1');
  const vector = new URL('../../fixtures/schema1/44-huge/', import.meta.url);
  const config = new Uint8Array(await readFile(new URL('config.json', vector)));
  const { layers } = JSON.parse(await readFile(new URL('manifest.json', vector), 'utf8')) as { layers: { digest: string }[] };
  const signer = createSigner(newKey());
  const timesOf = (input: {
    config: Uint8Array;
    layers: readonly string[];
  }): { build: readonly number[]; sign: readonly number[]; length: number } => {
    const build = [];
    const sign = [];
    let length = 0;
    for (let at = 0; at < rounds * 4; at++) {
      const begun = process.cpuUsage();
      const result = buildSchema1({ ...input, name: 'bench/huge', tag: 'latest' }, 'compat');
      build.push(millisecondsSince(begun));
      if (result.kind !== 'payload') throw new Error(result.explanation);
      const built = process.cpuUsage();
      signer.sign(result.payload, '2026-01-01T00:00:00Z');
      sign.push(millisecondsSince(built));
      length = result.payload.length;
    }
    return { build, sign, length };
  };
  const ms = (value: number): string => digits(value);
  const cases = [
    ...[100, 1_000, 10_000].map((count) => ({ title: `${count.toLocaleString('en-US')} layers`, count, input: configOf(count) })),
    { title: 'the vector 44-huge', count: layers.length, input: { config, layers: layers.map(({ digest }) => digest) } },
  ];
  timesOf(configOf(1_000));
  const measured = cases.map(({ title, count, input }) => ({ title, count, bytes: input.config.length, ...timesOf(input) }));
  const huge = measured.at(-1);
  return {
    title: 'Deriving schema 1',
    note: 'Payload and signature, as `gantry publish` makes them once and docker-registry for every pull of an old client; in processor time. Linear: microseconds a layer stay the same.',
    columns: ['config', 'config bytes', 'payload bytes', 'payload ms', 'µs a layer', 'signature ms'],
    rows: measured.map(({ title, count, bytes, length, build, sign }) => [
      title,
      bytes.toLocaleString('en-US'),
      length.toLocaleString('en-US'),
      shown(spreadOf(build), ms),
      digits((spreadOf(build).median * 1_000) / count),
      shown(spreadOf(sign), ms),
    ]),
    targets: huge === undefined ? [] : [atMost('44-huge', 50, spreadOf(huge.build), (value) => `${digits(value)} ms`)],
  };
}

/** Milliseconds of processor time, which other programs on the machine do not lengthen. */
function millisecondsSince(begun: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000;
}

/** A config of as many layers and history entries. */
function configOf(count: number): { readonly config: Uint8Array; readonly layers: readonly string[] } {
  const digests = Array.from({ length: count }, (_, at) => `sha256:${at.toString(16).padStart(64, '0')}`);
  const config = {
    architecture: 'amd64',
    config: { Env: ['PATH=/bin'] },
    created: '2026-01-01T00:00:00Z',
    history: digests.map((digest) => ({ created: '2026-01-01T00:00:00Z', created_by: `/bin/sh -c #(nop) ADD file:${digest} in / ` })),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: digests },
  };
  return { config: new TextEncoder().encode(JSON.stringify(config)), layers: digests };
}
