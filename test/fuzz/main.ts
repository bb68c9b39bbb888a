/**
 * `npm run fuzz -- [--oracle] [--runs N] [--payloads N] [--documents N] [--seed S] [--part PART --path P]`: converts
 * configs to schema 1, and schema 1 payloads to configs, that nobody would write. It looks for a difference from
 * docker/distribution and from Docker (`--oracle`, if Debian's Go packages are installed), or for a broken rule. With
 * the oracle it also damages signed documents, and compares the verdict with libtrust's. A failure is shrunk, and
 * printed with the options that reproduce it. Exit 0: none found; 1: one found; 2: bad arguments, or no Go.
 * `--proof` writes the result to docs/results.
 * `--surface http|tar|json|layout [--from N]` gives that surface hostile inputs instead (surfaces/run.ts).
 */
import { readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { keyFromRandom, type PrivateKey, readPrivateKey } from '../../src/manifest/signing/key.ts';
import { buildSchema1, type Schema1Input } from '../../src/manifest/schema1.ts';
import { checkConfig } from './config-rules.ts';
import { schema1Input } from './configs.ts';
import { damagedDocument } from './documents.ts';
import { countFigure, type Figure, writeProof } from '../proof/result.ts';
import { missingForOracle, startOracle } from './oracle.ts';
import { schema1Payload } from './payloads.ts';
import { checkConversion, checkSignature, checkVerification } from './schema1-rules.ts';

const { values } = parseArgs({
  options: {
    oracle: { type: 'boolean' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    payloads: { type: 'string' },
    documents: { type: 'string' },
    part: { type: 'string' },
    path: { type: 'string' },
    surface: { type: 'string' },
    from: { type: 'string' },
    proof: { type: 'boolean' },
  },
});
const runs = Number(values.runs ?? (values.oracle === true ? 100_000 : 20_000));
const payloads = Number(values.payloads ?? Math.ceil(runs / 10));
const documents = Number(values.documents ?? Math.ceil(runs / 10));
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
if (![runs, payloads, documents].every(isCount) || !Number.isSafeInteger(seed)) {
  console.error('--runs, --payloads, --documents and --seed take whole numbers.');
  process.exit(2);
}
if (values.surface !== undefined) {
  const { SURFACES } = await import('./surfaces/run.ts');
  const surface = Object.hasOwn(SURFACES, values.surface) ? SURFACES[values.surface] : undefined;
  const from = Number(values.from ?? 0);
  if (surface === undefined || !Number.isSafeInteger(from)) {
    console.error(`--surface takes ${Object.keys(SURFACES).join(', ')}, and --from a whole number.`);
    process.exit(2);
  }
  const inputs = values.runs === undefined ? 10_000 : runs;
  const { summary, fault } = await surface({ seed, from, runs: inputs });
  if (values.proof === true) {
    writeProof(`fuzz-${values.surface}`, {
      script: 'fuzz',
      extent: inputs >= 10_000 ? 'whole' : 'bounded',
      figures: [countFigure('hostile inputs', inputs), countFigure('of them with a fault', fault === null ? 0 : 1, 0)],
    });
  }
  console.log(summary);
  if (fault !== null) console.log(`FAILED: ${fault}`);
  process.exit(fault === null ? 0 : 1);
}
const { part } = values;
if (part !== undefined && !['configs', 'payloads', 'documents'].includes(part)) {
  console.error('--part takes configs, payloads or documents.');
  process.exit(2);
}
if (values.path !== undefined && part === undefined) {
  console.error('--path needs --part: a path is that of one part.');
  process.exit(2);
}
const path = values.path === undefined ? {} : { path: values.path };
const missing = values.oracle === true ? missingForOracle() : null;
if (missing !== null) {
  console.error(
    `--oracle needs Go and Docker's sources; ${missing} is not installed.\nOn Debian 12: apt install golang-go golang-github-docker-distribution-dev golang-github-docker-docker-dev`,
  );
  process.exit(2);
}

const pem = (type: 'ec' | 'rsa', options: object, format: 'sec1' | 'pkcs1'): PrivateKey =>
  readPrivateKey(
    generateKeyPairSync(type as 'ec', options as { namedCurve: string })
      .privateKey.export({ type: format, format: 'pem' })
      .toString(),
  );
const p256 = keyFromRandom(new Uint8Array(32).fill(7));
if (p256 === null) throw new Error('no key');
const otherKeys = [
  pem('ec', { namedCurve: 'P-384' }, 'sec1'),
  pem('ec', { namedCurve: 'P-521' }, 'sec1'),
  pem('rsa', { modulusLength: 2048 }, 'pkcs1'),
];

const oracle = values.oracle === true ? startOracle() : null;
const tally = {
  converted: 0,
  payloads: 0,
  signatures: 0,
  documents: 0,
  accepted: 0,
  read: 0,
  configs: 0,
  onlyLibtrust: new Map<string, number>(),
};
const started = performance.now();

const configProperty = fc.asyncProperty(schema1Input, async (input) => {
  const payload = await checkConversion(input, oracle);
  tally.converted += 1;
  if (tally.converted % 10_000 === 0)
    console.error(`${String(tally.converted)} configs, ${String(Math.round((performance.now() - started) / 1000))} s`);
  if (payload === null) return;
  tally.payloads += 1;
  // Every payload is signed where libtrust can look at it; ourselves, and with other kinds of keys, less often: that is
  // slower.
  if (oracle !== null || tally.payloads % 20 === 0) {
    await checkSignature(p256, payload, oracle, tally.payloads % 100 === 0);
    tally.signatures += 1;
  }
  const other = otherKeys[tally.payloads % 600];
  if (other === undefined) return;
  await checkSignature(other, payload, oracle, true);
  tally.signatures += 1;
});

const payloadProperty = fc.asyncProperty(schema1Payload, async (payload) => {
  tally.read += 1;
  if ((await checkConfig(payload, oracle)) !== null) tally.configs += 1;
});
const documentProperty = fc.asyncProperty(damagedDocument([p256, ...otherKeys]), async (document) => {
  if (oracle === null) return;
  const { ours, theirs } = await checkVerification(document, oracle);
  tally.documents += 1;
  if (ours === null) tally.accepted += 1;
  else if (theirs === null) tally.onlyLibtrust.set(ours, (tally.onlyLibtrust.get(ours) ?? 0) + 1);
});

/** Whether a part is to be run: all of them are unless one is named. */
const wants = (name: string): boolean => part === undefined || part === name;
const conversion = wants('configs') ? await fc.check(configProperty, { numRuns: runs, seed, ...path }) : null;
const reading = wants('payloads') ? await fc.check(payloadProperty, { numRuns: payloads, seed, ...path }) : null;
const verification =
  wants('documents') && oracle !== null
    ? await fc.check(documentProperty, { numRuns: documents, seed, ...path })
    : null;
await oracle?.close();

/**
 * The quickest of some conversions of the vector with 300 kB of labels, its labels repeated `factor` times.
 * Milliseconds.
 */
function timeHuge(factor: number): number {
  const folder = new URL('../fixtures/schema1/44-huge/', import.meta.url);
  const manifest = JSON.parse(readFileSync(new URL('manifest.json', folder)).toString()) as {
    layers: { digest: string }[];
  };
  const once = readFileSync(new URL('config.json', folder)).toString();
  const label = /"Labels":\s*\{/.exec(once);
  if (label === null) throw new Error('the vector has no labels');
  const at = label.index + label[0].length;
  const padding = Array.from(
    { length: factor - 1 },
    (_, index) => `"more.${String(index)}":"${'<x>&\\"é'.repeat(33_000)}",`,
  ).join('');
  const input: Schema1Input = {
    config: new TextEncoder().encode(once.slice(0, at) + padding + once.slice(at)),
    layers: manifest.layers.map(({ digest }) => digest),
    name: 'a',
    tag: 'b',
  };
  const times = Array.from({ length: 15 }, () => {
    const before = performance.now();
    const result = buildSchema1(input, 'strict');
    if (result.kind === 'refused') throw new Error(result.explanation);
    return performance.now() - before;
  }).sort((a, b) => a - b);
  console.log(
    `  ${String(Math.round(input.config.length / 1024)).padStart(5)} KiB config: ${(times[0] ?? 0).toFixed(1)} ms`,
  );
  return times[0] ?? 0;
}

const against = (judge: string): string => (oracle === null ? 'own rules' : judge);
if (conversion !== null) {
  console.log(
    `${String(tally.converted)} configs against ${against('docker/distribution and libtrust')}: ${String(tally.payloads)} payloads, the others refused; ${String(tally.signatures)} signatures (seed ${String(seed)})`,
  );
}
if (reading !== null) {
  console.log(
    `${String(tally.read)} payloads against ${against('moby')}: ${String(tally.configs)} configs, the others refused (seed ${String(seed)})`,
  );
}
if (verification !== null) {
  console.log(
    `${String(tally.documents)} damaged documents: ${String(tally.accepted)} accepted by both, ${String([...tally.onlyLibtrust.values()].reduce((sum, count) => sum + count, 0))} by libtrust alone`,
  );
  for (const [reason, count] of tally.onlyLibtrust) console.log(`  ${String(count)} × we say: ${reason}`);
}
if (part === undefined) {
  console.log('conversion of the vector with 300 kB of labels, and larger ones:');
  for (const factor of [1, 2, 4]) timeHuge(factor);
}

/** What a part of the run ended with. */
type Outcome = Pick<fc.RunDetails<unknown>, 'failed' | 'errorInstance' | 'counterexamplePath' | 'seed'>;

/** Prints a failure and the options that bring it back; whether there is one. */
function report(name: string, outcome: Outcome | null, bytes: Uint8Array | undefined): boolean {
  if (outcome?.failed !== true) return false;
  const { errorInstance: error, counterexamplePath } = outcome;
  console.log(`\nFAILED: ${error instanceof Error ? error.message : String(error)}`);
  console.log(
    `again: --seed ${String(outcome.seed)} --part ${name} --path ${counterexamplePath ?? ''}${oracle === null ? '' : ' --oracle'}`,
  );
  if (bytes !== undefined) {
    console.log(
      `bytes (base64): ${Buffer.from(bytes).toString('base64')}\nas text: ${Buffer.from(bytes).toString('latin1')}`,
    );
  }
  return true;
}
const input = conversion?.counterexample?.[0];
const failures = [
  report('configs', conversion, input?.config),
  report('payloads', reading, reading?.counterexample?.[0]),
  report('documents', verification, verification?.counterexample?.[0]),
];
if (input !== undefined) console.log(`layers: ${input.layers.join(' ')}`);
if (values.proof === true) {
  const found = (what: string, outcome: Outcome | null): readonly Figure[] =>
    outcome === null ? [] : [countFigure(what, outcome.failed ? 1 : 0, 0)];
  writeProof('fuzz', {
    extent: oracle !== null && runs >= 100_000 && part === undefined && payloads >= 10_000 ? 'whole' : 'bounded',
    leftOut: oracle === null ? ['the oracles: run with --oracle'] : [],
    figures: [
      countFigure('configs converted', tally.converted),
      countFigure('signatures checked', tally.signatures),
      ...found(`differences from ${against('docker/distribution and libtrust')}`, conversion),
      countFigure('schema 1 payloads read', tally.read),
      ...found(`differences from ${against('moby')}`, reading),
      countFigure('damaged documents', tally.documents),
      ...found('documents that are accepted although libtrust refuses them', verification),
    ],
  });
}
process.exitCode = failures.includes(true) ? 1 : 0;
