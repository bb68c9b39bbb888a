/** The results of pushes, and where the last ones are kept: the table in docs/how-to/receive.md is made from them. */
import { readFile, writeFile } from 'node:fs/promises';
import type { StepResult } from './clients.ts';

const FILE = new URL('./results.json', import.meta.url);

/** The kept results; none if there are none yet. */
export async function readPushResults(): Promise<readonly StepResult[]> {
  return JSON.parse(await readFile(FILE, 'utf8').catch(() => '[]')) as readonly StepResult[];
}

/** Keeps the results, one a line. Those of a machine that was not run stay. */
export async function writePushResults(results: readonly StepResult[]): Promise<void> {
  const machines = new Set(results.map(({ machine }) => machine));
  const kept = (await readPushResults()).filter(({ machine }) => !machines.has(machine));
  const all = [...results, ...kept].toSorted((a, b) => (a.machine < b.machine ? -1 : a.machine > b.machine ? 1 : 0));
  await writeFile(FILE, `[\n${all.map((result) => `  ${JSON.stringify(result)}`).join(',\n')}\n]\n`);
}
