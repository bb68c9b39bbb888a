/** The results of pushes as a table, for the terminal and for docs/how-to/receive.md. */
import { table } from '../../../docs/generator/markdown.ts';
import type { StepResult } from './clients.ts';

/** A row a client on a machine; its steps, the failed ones with an exclamation mark. */
export function pushTable(results: readonly StepResult[]): string {
  const rows = new Map<string, { readonly cells: readonly string[]; readonly steps: string[] }>();
  for (const { machine, client, version, step, outcome } of results) {
    const key = [machine, client, version].join(' ');
    const row = rows.get(key) ?? { cells: [machine, `${client} ${version}`], steps: [] };
    const mark = { passed: step, failed: `**${step}!**`, 'not-tried': `(${step})` }[outcome.kind];
    row.steps.push(mark);
    rows.set(key, row);
  }
  return table([
    ['from', 'client', 'what it did'],
    ...[...rows.values()].map(({ cells, steps }) => [...cells, steps.join(' · ')]),
  ]);
}
