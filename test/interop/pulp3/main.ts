/**
 * `npm run interop -- --pulp3`: a real Pulp 3 behind the edge. Prints the table and the counts; gives whether
 * everything was as it should be.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildLibtrust } from '../libtrust.ts';
import { type ImageKind, IMAGES, NONSTANDARD } from '../matrix/images.ts';
import { countFigure, writeProof } from '../../proof/result.ts';
import { missingPrograms } from '../programs.ts';
import { countRequests, countsText, measureRates } from './counts.ts';
import { PREFIXES } from './edge.ts';
import { missingForPulp } from './environment.ts';
import { runScenario } from './run.ts';
import { pullTable, troubles } from './table.ts';

/** Pulp takes none of the others, and it publishes without `--rewrite-opaque`. */
const ALL_KINDS: readonly ImageKind[] = (Object.keys(IMAGES) as ImageKind[]).filter(
  (kind) => kind !== 'rewritten' && !NONSTANDARD.some((one) => one === kind),
);

/** Runs everything, or only these clients (by title) and images. `tell`: progress, for people. */
export async function runPulp3(
  tell: (message: string) => void,
  {
    clients,
    kinds = ALL_KINDS,
    proof = false,
  }: {
    readonly clients?: readonly string[] | undefined;
    readonly kinds?: readonly ImageKind[] | undefined;
    /** Whether the result is written to docs/results. */
    readonly proof?: boolean;
  } = {},
): Promise<boolean> {
  const missing = await missingForPulp();
  if (missing.length > 0) {
    tell(`skipped, Pulp 3: ${missing.join(', ')} not installed`);
    return true;
  }
  const folder = await mkdtemp(join(tmpdir(), 'gantry-pulp3-interop-'));
  try {
    const verify = missingPrograms('go').length > 0 ? undefined : await buildLibtrust();
    let counts = '';
    const pulls = await runScenario(folder, kinds, {
      verify,
      ...(clients !== undefined && { clients }),
      tell,
      first: async (pulp, { host }, name) => {
        counts = countsText(
          await countRequests(pulp, host, PREFIXES.long, name),
          await measureRates(pulp, host, PREFIXES.long, name),
        );
      },
    });
    if (pulls.length === 0) throw new Error(`no client is named ${clients?.join(' or ') ?? 'so'}`);
    process.stdout.write(`${pullTable(pulls)}\n\n${counts}\n`);
    const wrong = troubles(pulls);
    for (const line of wrong) tell(line);
    if (proof) {
      const tried = pulls.filter(({ outcome }) => outcome.kind !== 'excused').length;
      writeProof('interop-pulp3', {
        script: 'interop',
        extent: clients === undefined && kinds.length === ALL_KINDS.length ? 'whole' : 'bounded',
        figures: [
          countFigure('pulls through the edge from a real Pulp 3', tried),
          countFigure('pulls that were not as they should be', wrong.length, 0),
        ],
      });
    }
    tell(
      `${String(pulls.filter(({ outcome }) => outcome.kind !== 'excused').length)} pulls, ${String(wrong.length)} not as they should be`,
    );
    return wrong.length === 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
