/**
 * `npm run faults`: what a nemesis finds. Clients pull through an edge whose upstream answers wrongly; publishers, sync
 * and gc are killed, stopped and lied to over real S3 servers; then everything is looked through by code that shares
 * nothing with Gantry. Exits with 1 if anything was lost or false.
 */
import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { missingPrograms } from '../interop/programs.ts';
import { countFigure, writeProof } from '../proof/result.ts';
import { runPublishers } from './publishers.ts';
import { AS_REPORTED, runPullThrough } from './pull-through.ts';
import { missingFor, STORAGES } from './storage.ts';
import { MUST_BE_ZERO, type Tally, tallyLines, WAITED, type Wrong } from './tally.ts';

const PARTS = ['pull-through', ...STORAGES] as const;

const options = new Command('faults')
  .description('spoil what Gantry talks to, kill it, and look for what is lost or false')
  .option('--quick', 'a bounded part of it: at most three minutes')
  .option('--only <part...>', `only these parts: ${PARTS.join(', ')}`)
  .option('--seed <text>', 'repeats a run', String(Date.now()))
  .option('--minutes <n>', 'no other request or round begins after so many minutes, however few there were', Number, 30)
  .option('--json <file>', 'write the counts')
  .option('--proof', 'write the result to docs/results, for `npm run proof`')
  .parse()
  .opts<{
    readonly quick?: true;
    readonly only?: readonly string[];
    readonly seed: string;
    readonly minutes: number;
    readonly json?: string;
    readonly proof?: true;
  }>();

/** A whole run ends when it has made so many requests and kills. */
const REQUESTS = 10_000;
const KILLS = 100;

const { quick = false, only = PARTS, seed, minutes } = options;
process.stdout.write(`seed ${seed}\n`);
const isWanted = (part: (typeof PARTS)[number]): boolean => only.includes(part);
const started = performance.now();
const tallies: Tally[] = [];
const skipped: string[] = [];

const registry = missingPrograms('docker-registry');
const skip = (what: string): void => {
  skipped.push(what);
  process.stdout.write(`skipped: ${what}\n`);
};
if (registry.length > 0) skip('everything (docker-registry is not installed)');
else {
  const work: Promise<Tally>[] = [];
  const storages = STORAGES.filter((storage) => {
    const missing = missingFor(storage);
    if (isWanted(storage) && missing.length > 0) skip(`${storage} (${missing.join(', ')} not installed)`);
    return isWanted(storage) && missing.length === 0;
  });
  for (const storage of storages) {
    const kills = quick ? Infinity : Math.ceil(KILLS / storages.length);
    work.push(runPublishers({ seed, storage, quick, kills, most: quick ? 45_000 : minutes * 60_000 }));
  }
  if (isWanted('pull-through')) {
    work.unshift(
      runPullThrough({
        seed,
        repositories: quick ? 6 : 12,
        tags: quick ? 6 : 40,
        requests: quick ? 1_200 : REQUESTS,
        most: quick ? 60_000 : minutes * 60_000,
      }),
      runPullThrough({
        seed,
        repositories: quick ? 6 : 12,
        tags: quick ? 6 : 40,
        requests: quick ? 600 : 5_000,
        most: quick ? 60_000 : minutes * 60_000,
        scene: AS_REPORTED,
      }),
    );
  }
  tallies.push(
    ...(await Promise.all(
      work.map(async (part) => {
        const tally = await part;
        process.stderr.write(`${tallyLines([tally]).join('\n')}\n`);
        return tally;
      }),
    )),
  );
}

const seconds = Math.round((performance.now() - started) / 1_000);
process.stdout.write(`${[...tallyLines(tallies), `${String(seconds)} s, seed ${seed}`].join('\n')}\n`);
if (options.json !== undefined)
  await writeFile(options.json, `${JSON.stringify({ seed, quick, seconds, parts: tallies }, null, 2)}\n`);
// Otherwise less was tested than is told.
const sum = (fact: string): number => tallies.reduce((all, { facts }) => all + (facts.get(fact) ?? 0), 0);
const isWhole = quick || only.length < PARTS.length || (sum('client requests') >= REQUESTS && sum('kills') >= KILLS);
if (options.proof === true) {
  const kinds = Object.keys(MUST_BE_ZERO) as Wrong[];
  writeProof('faults', {
    extent: !quick && only.length === PARTS.length && skipped.length === 0 && isWhole ? 'whole' : 'bounded',
    leftOut: skipped,
    figures: [
      countFigure('client requests', sum('client requests')),
      countFigure('kills', sum('kills')),
      countFigure(WAITED, sum(WAITED)),
      ...kinds.map((kind) =>
        countFigure(
          MUST_BE_ZERO[kind],
          tallies.reduce((all, { wrong }) => all + wrong[kind], 0),
          0,
        ),
      ),
    ],
  });
}
if (!isWhole) process.stdout.write('too few requests or kills\n');
if (!isWhole || !tallies.every(({ isClean }) => isClean)) process.exitCode = 1;
