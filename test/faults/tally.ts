/** What a run counts: what must stay 0, and what only tells how hard it was. */

/** The counts that must be 0 at the end. */
export const MUST_BE_ZERO = {
  'false-404': 'false 404s',
  'lasting-404': 'tags or lists still missing with the upstream well again',
  'wrong-bytes': 'wrong bytes',
  'wrong-status': 'answers other than 200, 503 and a 429 that says when to try again',
  'refused-again': 'requests with 429 after every wait',
  'short-list': 'short lists with status 200',
  lost: 'tags lost',
  unlisted: 'tags or repositories unlisted after the next run',
  'needed-missing': 'needed objects missing',
  'next-run-failed': 'commands that failed again, without faults',
} as const;
/** What a run calls the answers 429 that say when to try again: the client waited, and was answered. */
export const WAITED = 'answers 429 that say when to try again';

export type Wrong = keyof typeof MUST_BE_ZERO;

/** Counts of one part of a run. */
export class Tally {
  readonly part: string;
  readonly wrong: Record<Wrong, number>;
  /** The first of each kind, for whoever looks for the cause. */
  readonly examples: string[] = [];
  readonly facts = new Map<string, number>();

  constructor(part: string) {
    this.part = part;
    this.wrong = Object.fromEntries(Object.keys(MUST_BE_ZERO).map((kind) => [kind, 0])) as Record<Wrong, number>;
  }

  /** Something that must not be. */
  add(kind: Wrong, what: string): void {
    this.wrong[kind] += 1;
    if (this.wrong[kind] <= 3) this.examples.push(`${kind}: ${what.replace(/\s+/g, ' ')}`);
  }

  /** Something that was done or seen. */
  count(fact: string, by = 1): void {
    this.facts.set(fact, (this.facts.get(fact) ?? 0) + by);
  }

  get isClean(): boolean {
    return Object.values(this.wrong).every((count) => count === 0);
  }

  toJSON(): unknown {
    return { part: this.part, wrong: this.wrong, facts: Object.fromEntries(this.facts), examples: this.examples };
  }
}

/** A table of parts and counts. */
export function tallyLines(tallies: readonly Tally[]): readonly string[] {
  const facts = [...new Set(tallies.flatMap((tally) => [...tally.facts.keys()]))];
  const rows = [
    ['', ...tallies.map(({ part }) => part)],
    ...facts.map((fact) => [fact, ...tallies.map((tally) => String(tally.facts.get(fact) ?? ''))]),
    ...(Object.keys(MUST_BE_ZERO) as Wrong[]).map((kind) => [
      `${MUST_BE_ZERO[kind]} (0)`,
      ...tallies.map(({ wrong }) => String(wrong[kind])),
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return [...lines, ...tallies.flatMap(({ part, examples }) => examples.map((example) => `${part}: ${example}`))];
}

const STATUS_TITLES: Readonly<Record<string, string>> = { 200: 'HTML with status 200', 404: 'HTML with status 404' };

/** How a kind of fault is counted: an answer of the proxy's own by the class of its status. */
export function faultTitle(kind: string): string {
  return STATUS_TITLES[kind] ?? (/^\d{3}$/.test(kind) ? `status ${kind.charAt(0)}xx` : kind);
}
