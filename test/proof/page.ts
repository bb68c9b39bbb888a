/** docs/proof.md: every figure with the command, the commit and the machine that gave it. Misses come first. */
import { wrap } from '../../docs/generator/markdown.ts';
import { CLAIMS, SETTINGS } from './claims.ts';
import type { Figure, ProofResult } from './result.ts';

/** A figure and the run that it is from. */
interface Line {
  readonly figure: Figure;
  readonly result: ProofResult;
}

/** The page for these results. */
export function proofPage(results: readonly ProofResult[]): string {
  const all = results.flatMap((result) => result.figures.map((figure): Line => ({ figure, result })));
  const missed = all.filter(({ figure }) => figure.met === false);
  const met = all.filter(({ figure }) => figure.met === true);
  return `<!-- Made by \`npm run proof\` from docs/results; do not edit. -->
# Proof

${wrap(
  'Every figure here was measured or counted by a command that you can run. `npm run bench`, `soak`, `interop`, `faults`, ' +
    '`conformance` and `fuzz` write a result to `docs/results` with `--proof`, and `npm run proof` makes this page of the ' +
    'results. A bounded run is shorter or smaller than the whole one, so its figures say less. Times depend on the ' +
    'machine: look at the ratios.',
)}

## Missed targets

${missed.length === 0 ? 'No target was missed.' : `${String(missed.length)} of ${String(missed.length + met.length)} targets were missed.`}
${missed.length === 0 ? '' : `\n${table(missed)}\n`}
## Claims of the README

${CLAIMS.map(({ title, figures }) => `### ${title}\n\n${claimText(figures, all)}`).join('\n\n')}

### Settings

These figures are settings. A test checks each.

| figure | test |
|---|---|
${SETTINGS.map(({ text, test }) => `| ${text} | [${test}](../${test}) |`).join('\n')}

## All figures

${results.map(section).join('\n\n')}
`;
}

/** The figures of a claim that results have. */
export function linesOf(
  figures: readonly (readonly [result: string, what: string])[],
  results: readonly ProofResult[],
): readonly Line[] {
  const all = results.flatMap((result) => result.figures.map((figure): Line => ({ figure, result })));
  return select(figures, all);
}

function select(figures: readonly (readonly [result: string, what: string])[], all: readonly Line[]): readonly Line[] {
  return figures.flatMap(([name, what]) =>
    all.filter(({ figure, result }) => result.name === name && figure.what.startsWith(what)),
  );
}

function claimText(figures: readonly (readonly [string, string])[], all: readonly Line[]): string {
  const lines = select(figures, all);
  return lines.length === 0 ? 'No result has a figure for this yet.' : table(lines);
}

function section({ name, command, commit, machine, date, extent, leftOut, figures }: ProofResult): string {
  const facts = wrap(
    `\`${command}\`, a ${extent} run at commit \`${commit}\`, ended ${date.slice(0, 16).replace('T', ' ')} UTC on ${machine}.`,
  );
  const missing =
    leftOut.length === 0 ? '' : `\n\nLeft out:\n\n${leftOut.map((one) => wrap(`- ${one}`, '  ')).join('\n')}`;
  const rows = figures.map(({ what, found, target, met }) =>
    row([what, found, target ?? '', met === null ? '' : met ? 'met' : '**missed**']),
  );
  return `### ${name}\n\n${facts}${missing}\n\n| figure | found | target | |\n|---|---|---|---|\n${rows.join('\n')}`;
}

function table(lines: readonly Line[]): string {
  const rows = lines.map(({ figure: { what, found, target }, result: { command, commit, extent, date, machine } }) =>
    row([what, found, target ?? '', `\`${command}\``, extent, `\`${commit}\``, date.slice(0, 10), machine]),
  );
  return [
    '| figure | found | target | command | run | commit | date | machine |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replace(/\s+/g, ' ')).join(' | ')} |`;
}
