/**
 * `npm run fuzz -- [--oracle] [--runs N] [--documents N] [--seed S] [--path P]`: converts configs that nobody would write and looks for a difference from docker/distribution
 * (`--oracle`, where Debian's Go packages are installed) or a broken rule;
 * with the oracle also damages signed documents, of which libtrust must think as we do. A failure is shrunk, and printed with the seed and path that bring it back.
 * `--surface http|tar|json|layout [--from N]` gives that surface hostile inputs instead (surfaces/run.ts).
 * Exit 0: none found; 1: one found; 2: bad arguments, or no Go.
 */
import { readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { keyFromRandom, type PrivateKey, readPrivateKey } from '../../src/manifest/signing/key.ts';
import { buildSchema1, type Schema1Input } from '../../src/manifest/schema1.ts';
import { schema1Input } from './configs.ts';
import { damagedDocument } from './documents.ts';
import { missingForOracle, startOracle } from './oracle.ts';
import { checkConversion, checkSignature, checkVerification } from './schema1-rules.ts';

const { values } = parseArgs({
  options: {
    oracle: { type: 'boolean' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    documents: { type: 'string' },
    path: { type: 'string' },
    surface: { type: 'string' },
    from: { type: 'string' },
  },
});
const runs = Number(values.runs ?? (values.oracle === true ? 100_000 : 20_000));
const documents = Number(values.documents ?? Math.ceil(runs / 10));
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
if (
  !Number.isSafeInteger(runs) ||
  runs < 1 ||
  !Number.isSafeInteger(documents) ||
  documents < 1 ||
  !Number.isSafeInteger(seed)
) {
  console.error('--runs, --documents and --seed take whole numbers.');
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
  const { summary, fault } = await surface({ seed, from, runs: values.runs === undefined ? 10_000 : runs });
  console.log(summary);
  if (fault !== null) console.log(`FAILED: ${fault}`);
  process.exit(fault === null ? 0 : 1);
}
const missing = values.oracle === true ? missingForOracle() : null;
if (missing !== null) {
  console.error(
    `--oracle needs Go and docker/distribution's source; ${missing} is not installed.\nOn Debian 12: apt install golang-go golang-github-docker-distribution-dev`,
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
  onlyLibtrust: new Map<string, number>(),
};
const started = performance.now();

const conversion = await fc.check(
  fc.asyncProperty(schema1Input, async (input) => {
    const payload = await checkConversion(input, oracle);
    tally.converted += 1;
    if (tally.converted % 10_000 === 0)
      console.error(
        `${String(tally.converted)} configs, ${String(Math.round((performance.now() - started) / 1000))} s`,
      );
    if (payload === null) return;
    tally.payloads += 1;
    // Every payload is signed where libtrust can look at it; ourselves, and with other kinds of keys, less often: that is slower.
    if (oracle !== null || tally.payloads % 20 === 0) {
      await checkSignature(p256, payload, oracle, tally.payloads % 100 === 0);
      tally.signatures += 1;
    }
    const other = otherKeys[tally.payloads % 600];
    if (other === undefined) return;
    await checkSignature(other, payload, oracle, true);
    tally.signatures += 1;
  }),
  { numRuns: runs, seed, ...(values.path === undefined ? {} : { path: values.path }) },
);

const verification =
  oracle === null || conversion.failed || values.path !== undefined
    ? null
    : await fc.check(
        fc.asyncProperty(damagedDocument([p256, ...otherKeys]), async (document) => {
          const { ours, theirs } = await checkVerification(document, oracle);
          tally.documents += 1;
          if (ours === null) tally.accepted += 1;
          else if (theirs === null) tally.onlyLibtrust.set(ours, (tally.onlyLibtrust.get(ours) ?? 0) + 1);
        }),
        { numRuns: documents, seed },
      );
await oracle?.close();

/** The quickest of some conversions of the vector with 300 kB of labels, its labels repeated `factor` times. Milliseconds. */
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

const against = oracle === null ? 'own rules' : 'docker/distribution and libtrust';
console.log(
  `${String(tally.converted)} configs against ${against}: ${String(tally.payloads)} payloads, the others refused; ${String(tally.signatures)} signatures (seed ${String(seed)})`,
);
if (verification !== null) {
  console.log(
    `${String(tally.documents)} damaged documents: ${String(tally.accepted)} accepted by both, ${String([...tally.onlyLibtrust.values()].reduce((sum, count) => sum + count, 0))} by libtrust alone`,
  );
  for (const [reason, count] of tally.onlyLibtrust) console.log(`  ${String(count)} × we say: ${reason}`);
}
console.log('conversion of the vector with 300 kB of labels, and larger ones:');
for (const factor of [1, 2, 4]) timeHuge(factor);

if (conversion.failed) {
  const [input] = conversion.counterexample ?? [];
  console.log(
    `\nFAILED: ${conversion.errorInstance instanceof Error ? conversion.errorInstance.message : String(conversion.errorInstance)}`,
  );
  console.log(
    `again: --seed ${String(conversion.seed)} --path ${conversion.counterexamplePath ?? ''}${oracle === null ? '' : ' --oracle'}`,
  );
  if (input !== undefined)
    console.log(
      `config (base64): ${Buffer.from(input.config).toString('base64')}\nas text: ${Buffer.from(input.config).toString('latin1')}\nlayers: ${input.layers.join(' ')}`,
    );
}
if (verification?.failed === true) {
  const [document] = verification.counterexample ?? [];
  console.log(
    `\nFAILED: ${verification.errorInstance instanceof Error ? verification.errorInstance.message : String(verification.errorInstance)}`,
  );
  if (document !== undefined) console.log(`document (base64): ${Buffer.from(document).toString('base64')}`);
}
process.exitCode = conversion.failed || verification?.failed === true ? 1 : 0;
