/** The outcome of the scenario as text. */
import type { Outcome, Pull, State } from './scenario.ts';

const WORDS = { whole: 'ok', later: '503', wrong: 'WRONG', excused: '-' } as const satisfies Record<
  Outcome['kind'],
  string
>;

/** One table: a row for a client in a state of Pulp, a column for an image. */
export function pullTable(pulls: readonly Pull[]): string {
  const images = [...new Set(pulls.map(({ image }) => image))];
  const rows = [...new Set(pulls.map(({ state, client }) => `${state}\t${client}`))].map((key) => {
    const [state = '', client = ''] = key.split('\t');
    const own = pulls.filter((one) => one.state === (state as State) && one.client === client);
    return [
      state,
      client,
      ...images.map((image) =>
        [...new Set(own.filter((one) => one.image === image).map(({ outcome }) => WORDS[outcome.kind]))].join(' '),
      ),
    ];
  });
  const table = [['Pulp', 'client', ...images], ...rows];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What is not as it should be, one line each. */
export function troubles(pulls: readonly Pull[]): readonly string[] {
  return pulls.flatMap(({ state, client, image, way, outcome }) =>
    outcome.kind === 'wrong'
      ? [`Pulp ${state}: ${client}: ${image} by ${way}: ${outcome.words.replaceAll('\n', ' ')}`]
      : [],
  );
}
