/**
 * `npm run interop -- --receive`: real clients push to `gantry serve --push` and pull from its edge. Prints the table;
 * gives whether every step was as it should be.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BUSYBOX_PROGRAMS, makeBusybox } from '../busybox.ts';
import { type Machine, machineAt } from '../matrix/machine.ts';
import { DEBIAN_14, openNewerDebian, removeNewerDebian } from '../matrix/newer.ts';
import { countFigure, writeProof } from '../../proof/result.ts';
import { missingPrograms, must } from '../programs.ts';
import { missingOf, PUSH_CLIENTS, runClient, type StepResult } from './clients.ts';
import { buildGoPrograms } from './go-programs.ts';
import { startPushServer } from './push-server.ts';
import { writePushResults } from './results.ts';
import { pushTable } from './table.ts';

/** What `npm run interop -- --receive` takes. */
export interface ReceiveRun {
  /** Keeps the folder with Debian 14 and the built programs here, and uses it again. */
  readonly keep: string | undefined;
  /** Only these clients. */
  readonly clients: readonly string[] | undefined;
  /** Where the results are written as JSON, too. */
  readonly json: string | undefined;
  /** Whether the result is written to docs/results. */
  readonly proof: boolean;
  /** Gets what the caller must undo in reverse order, whatever ends the run: mounts and folders. */
  readonly undo: (() => Promise<unknown>)[];
}

/** Runs everything, or only these clients. `report`: progress, for people. */
export async function runReceive(
  report: (message: string) => void,
  { keep, clients, json, proof, undo }: ReceiveRun,
): Promise<boolean> {
  const leftOut: string[] = [];
  const tell = (message: string): void => {
    if (message.startsWith('skipped, ')) leftOut.push(message.slice('skipped, '.length));
    report(message);
  };
  const missing = missingPrograms(...BUSYBOX_PROGRAMS);
  if (missing.length > 0) throw new Error(`not installed: ${missing.join(', ')}`);
  const chosen = PUSH_CLIENTS.filter(({ title }) => clients?.includes(title) ?? true);
  if (chosen.length === 0)
    throw new Error(`no such client; there are ${PUSH_CLIENTS.map(({ title }) => title).join(', ')}`);
  const folder = await mkdtemp(join(tmpdir(), 'gantry-push-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const programs = keep === undefined ? join(folder, 'programs') : join(resolve(keep), 'programs');
  const needed = chosen.flatMap((client) => client.programs);
  await buildGoPrograms(programs, tell, needed);
  const machines: Machine[] = [machineAt('Debian 12', undefined, programs)];
  const root = keep === undefined ? `${folder}-debian-14` : join(resolve(keep), 'debian-14');
  if (keep === undefined) undo.push(() => removeNewerDebian(root));
  try {
    const newer = await openNewerDebian(root, [folder, programs], tell, DEBIAN_14, programs);
    undo.push(() => newer.close());
    machines.push(newer.machine);
  } catch (error) {
    tell(`skipped, the clients of Debian 14: ${error instanceof Error ? error.message : String(error)}`);
  }
  await mkdir(join(folder, 'image'));
  const layout = await makeBusybox(join(folder, 'image'));
  const results: StepResult[] = [];
  for (const machine of machines) {
    const own = join(folder, machine.title.replace(' ', '-').toLowerCase());
    const server = await startPushServer(own);
    try {
      for (const [at, client] of chosen.entries()) {
        const lacking = await missingOf(client, machine);
        if (lacking.length > 0) {
          tell(`skipped, ${machine.title} ${client.title}: no ${lacking.join(', ')}`);
          continue;
        }
        const bench = { ...server, folder: join(own, String(at)), machine, layout };
        const steps = await runClient(client, bench);
        for (const { version, step, outcome } of steps) {
          const ending = outcome.kind === 'passed' ? 'passed' : `${outcome.kind}: ${outcome.reason}`;
          tell(`${machine.title} ${client.title} ${version}: ${step}: ${ending}`);
        }
        results.push(...steps);
      }
    } finally {
      await server.close();
    }
  }
  process.stdout.write(`${pushTable(results)}\n`);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(results, null, 2)}\n`);
  if (clients === undefined) {
    await writePushResults(results);
    await must(process.execPath, [new URL('../../../docs/generator/main.ts', import.meta.url).pathname]);
  }
  const failed = results.filter(({ outcome }) => outcome.kind !== 'passed');
  tell(`${String(results.length)} steps, ${String(failed.length)} not as they should be`);
  if (proof) {
    writeProof('interop-receive', {
      script: 'interop',
      extent: clients === undefined && machines.length > 1 ? 'whole' : 'bounded',
      leftOut,
      figures: [
        countFigure('clients that push', new Set(results.map(({ client }) => client)).size),
        countFigure('steps that passed', results.length - failed.length),
        countFigure('steps that did not', failed.length, 0),
      ],
    });
  }
  return failed.length === 0;
}
