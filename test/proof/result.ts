/**
 * The result of a command that measures or checks Gantry: `npm run bench`, `soak`, `interop`, `faults`, `conformance` and
 * `fuzz` write one with `--proof`. docs/proof.md is made from these files.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** One figure of a run. */
export interface Figure {
  readonly what: string;
  /** The middle of several measurements, or a count; null if it is not a number. */
  readonly value: number | null;
  /** Such as `ms`; '' for counts and ratios. */
  readonly unit: string;
  /** The figure as text, with its spread. */
  readonly found: string;
  /** What it should be; null if there is no target. */
  readonly target: string | null;
  /** Whether the target was met; null without one. */
  readonly met: boolean | null;
}

/** The result of one run. */
export interface ProofResult {
  /** The name of the file, such as `soak` or `bench-requests`. */
  readonly name: string;
  readonly command: string;
  /** The commit that ran, with `+` where the checkout had other changes. */
  readonly commit: string;
  readonly machine: string;
  /** When the run ended: RFC 3339, in UTC. */
  readonly date: string;
  /** `bounded`: shorter or smaller than the whole run, so that its figures say less. */
  readonly extent: 'whole' | 'bounded';
  /** What was not run, with the reason. */
  readonly leftOut: readonly string[];
  readonly figures: readonly Figure[];
}

/** A figure as a table has it. `wanted` is `told` where there is no target. */
export interface TargetText {
  readonly what: string;
  readonly wanted: string;
  readonly found: string;
  readonly met: boolean;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = new URL('../../docs/results/', import.meta.url);

// A run may take an hour, in which the checkout may move on.
const COMMIT = commitOf();

/** The processor, memory, system and Node of this machine. */
export function machineText(): string {
  const gib = Math.round(totalmem() / 2 ** 30);
  return `${cpus()[0]?.model ?? 'unknown processor'}, ${String(cpus().length)} cores, ${String(gib)} GiB, Linux ${release()}, Node ${process.version}`;
}

/** Writes the result of this process's run to its place in docs/results. */
export function writeProof(
  name: string,
  {
    script = name,
    extent,
    leftOut = [],
    figures,
  }: Pick<ProofResult, 'extent' | 'figures'> & {
    /** The script of package.json. */
    readonly script?: string;
    readonly leftOut?: readonly string[];
  },
): void {
  const given = process.argv.slice(2).filter((word) => word !== '--proof');
  const result: ProofResult = {
    name,
    command: withoutPaths([`npm run ${script}`, ...(given.length === 0 ? [] : ['--', ...given.map(quoted)])].join(' ')),
    commit: COMMIT,
    machine: machineText(),
    date: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    extent,
    leftOut: leftOut.map(withoutPaths),
    figures,
  };
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(new URL(`${name}.json`, FOLDER), `${JSON.stringify(result, null, 2)}\n`);
  process.stderr.write(`written: docs/results/${name}.json; \`npm run proof\` makes docs/proof.md of it\n`);
}

/** A text in which the paths of this machine are `PATH`: a result is read, and its command run, on others. */
export function withoutPaths(text: string): string {
  return text.replace(/(^|[\s='"`(])(?:~|\.{0,2})\/[^\s'"`),;]+/g, '$1PATH');
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The results that are kept, by name. */
export function readProofs(): readonly ProofResult[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as ProofResult);
}

/** A figure of a table's target. */
export function figureOf({ what, wanted, found, met }: TargetText): Figure {
  // `93 % (90 %–95 %)`, `1,234`, `0.93 (0.90–0.95)`.
  const [, number, unit = ''] = /^(-?[\d.,]+) ?([^\d\s(]*)/.exec(found) ?? [];
  const hasTarget = wanted !== 'told';
  return {
    what,
    value: number === undefined ? null : Number(number.replaceAll(',', '')),
    unit,
    found,
    target: hasTarget ? wanted : null,
    met: hasTarget ? met : null,
  };
}

/** A count; with a target if it must be that exactly. */
export function countFigure(what: string, count: number, wanted?: number): Figure {
  return {
    what,
    value: count,
    unit: '',
    found: count.toLocaleString('en-US'),
    target: wanted === undefined ? null : String(wanted),
    met: wanted === undefined ? null : count === wanted,
  };
}

function commitOf(): string {
  try {
    const git = (...args: readonly string[]): string =>
      execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
    // Results of other commands are written into the checkout, too.
    const changed = git(
      'status',
      '--porcelain',
      '--untracked-files=no',
      '--',
      '.',
      ':!docs/results',
      ':!docs/proof.md',
    );
    return `${git('rev-parse', '--short=12', 'HEAD')}${changed === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}
