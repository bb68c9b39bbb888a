/**
 * `npm run bench`: how fast Gantry is, what it costs, and how that compares with what it stands on and with its peers,
 * all in one run on one machine. Prints tables, fails only where something could not be measured, and is no test:
 * figures depend on the machine, so look at the ratios.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { figureOf, machineText, writeProof } from '../proof/result.ts';
import { type Part, UnknownRequestError } from './bench.ts';
import { bundle } from './parts/bundle.ts';
import { derivation } from './parts/derivation.ts';
import { growth } from './parts/growth.ts';
import { localStore } from './parts/local-store.ts';
import { operations } from './parts/operations.ts';
import { peers } from './parts/peers.ts';
import { publishing } from './parts/publishing.ts';
import { receiving } from './parts/receiving.ts';
import { requests } from './parts/requests.ts';
import { printSection, type Section } from './section.ts';
import type { Peer } from './stage.ts';

const PARTS = {
  requests,
  operations,
  publishing,
  receiving,
  'local-store': localStore,
  growth,
  bundle,
  derivation,
  peers,
} as const satisfies Record<string, Part>;

type PartName = keyof typeof PARTS;

interface Options {
  readonly only?: readonly PartName[];
  readonly quick?: true;
  readonly json?: true;
  readonly proof?: true;
  readonly request?: string;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly zot?: string;
  readonly serverlessRegistry?: string;
  readonly workerUrl: readonly Peer[];
  readonly workerConfig: readonly Peer[];
}

const options = new Command('bench')
  .description('measure Gantry beside its floors and its peers')
  .addOption(new Option('--only <part...>', 'only these parts').choices(Object.keys(PARTS)))
  .option('--quick', 'fewer and shorter runs: to see that it works, not what it gives')
  .option('--json', 'print data instead of tables')
  .option('--proof', 'write the result of each part to docs/results, for `npm run proof`')
  .option('--request <text>', 'of the requests only those whose title contains this, such as "1 MiB"')
  .option(
    '--rounds <n>',
    'how many rounds: how often each thing is measured, short requests once a second of it (default: 5)',
    readCount,
  )
  .option('--seconds <n>', 'how long a round (default: 3)', readCount)
  .addOption(new Option('--zot <program>', 'zot, to measure beside Gantry (peers)').env('BENCH_ZOT'))
  .addOption(
    new Option(
      '--serverless-registry <folder>',
      'a checkout of cloudflare/serverless-registry, to measure beside Gantry (peers)',
    ).env('BENCH_SERVERLESS_REGISTRY'),
  )
  .option(
    '--worker-url <name=url>',
    'another registry to measure, which runs already and takes pushes',
    addPeer('url'),
    [],
  )
  .option(
    '--worker-config <name=wrangler.toml>',
    'another Worker to measure, which is run beside Gantry',
    addPeer('worker'),
    [],
  )
  .parse()
  .opts<Options>();

const bench = {
  rounds: options.rounds ?? (options.quick === true ? 2 : 5),
  seconds: options.seconds ?? (options.quick === true ? 1 : 3),
  peers: [...options.workerUrl, ...options.workerConfig],
  ...(options.request !== undefined && { request: options.request }),
  ...(options.zot !== undefined && { zot: resolve(options.zot) }),
  ...(options.serverlessRegistry !== undefined && { serverlessRegistry: resolve(options.serverlessRegistry) }),
};
const isWhole = bench.rounds >= 5 && bench.seconds >= 3 && options.request === undefined;
const sections: Section[] = [];
for (const name of options.only ?? (Object.keys(PARTS) as PartName[])) {
  const folder = await mkdtemp(join(tmpdir(), `gantry-bench-${name}-`));
  try {
    const leftOut: string[] = [];
    const tell = (message: string): void => {
      if (message.startsWith('skipped, ')) leftOut.push(message.slice('skipped, '.length));
      process.stderr.write(`${name}: ${message}\n`);
    };
    const found = await PARTS[name]({ ...bench, folder, tell });
    sections.push(...found);
    if (options.proof === true) {
      writeProof(`bench-${name}`, {
        script: 'bench',
        leftOut,
        extent: isWhole ? 'whole' : 'bounded',
        figures: found.flatMap(({ targets }) => targets.map(figureOf)),
      });
    }
    if (options.json !== true) process.stdout.write(`${found.map(printSection).join('\n\n')}\n\n`);
  } catch (error) {
    if (!(error instanceof UnknownRequestError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
    break;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
const machine = machineText();
const { rounds, seconds } = bench;
if (options.json === true) process.stdout.write(`${JSON.stringify({ machine, rounds, seconds, sections }, null, 2)}\n`);
else process.stdout.write(`${machine}; ${String(rounds)} rounds of ${String(seconds)} s\n`);

function readCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('Give a whole number from 1.');
  return count;
}

function addPeer(kind: Peer['kind']): (text: string, before: readonly Peer[]) => readonly Peer[] {
  return (text, before) => {
    const [, title, where] = /^([a-z0-9-]+)=(.+)$/.exec(text) ?? [];
    if (title === undefined || where === undefined)
      throw new InvalidArgumentError('Write a name, "=" and where it is; names have small letters, digits and "-".');
    return [
      ...before,
      kind === 'url' ? { kind, title, url: where.replace(/\/+$/, '') } : { kind, title, config: where },
    ];
  };
}
