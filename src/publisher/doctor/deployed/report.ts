/** The checks of a deployment as text and as JSON. */
import { paint, tableLines } from '../../cli/terminal-text.ts';
import { type CheckResult, checkRow, isFault } from './checks.ts';

/** A check as `--json` prints it. */
export interface ReportedCheck extends CheckResult {
  readonly states: string;
  /** Whether something is wrong. */
  readonly fault: boolean;
  /** What to do; only where the statement is not true. */
  readonly todo?: string;
}

/** Adds what the table says. */
export function reportedChecks(results: readonly CheckResult[]): readonly ReportedCheck[] {
  return results.map((result) => {
    const { states, todo } = checkRow(result.id);
    return { ...result, states, fault: isFault(result), ...(result.outcome === 'no' && { todo }) };
  });
}

/** One block for each check, in lines of at most `width` characters. */
export function checkLines(results: readonly CheckResult[], width: number): string[] {
  const checks = reportedChecks(results);
  const lines = checks.flatMap(({ id, outcome, states, seen, fault, todo }) => {
    const mark =
      outcome === 'yes'
        ? paint('good', '✓')
        : outcome === 'not-asked'
          ? paint('quiet', '?')
          : paint(fault ? 'bad' : 'doubtful', fault ? '✗' : '!');
    return tableLines(
      [
        [`${mark} ${paint('strong', id)}`, states],
        [outcome === 'not-asked' ? '  not asked' : '  seen', seen],
        ...(todo === undefined ? [] : [['  do', todo]]),
      ],
      width,
    );
  });
  const count = (outcome: CheckResult['outcome']): string =>
    String(checks.filter((check) => check.outcome === outcome).length);
  const summary = `of ${String(checks.length)} assumptions about Cloudflare: ${count('yes')} hold, ${count('no')} do not, ${count('not-asked')} were not tested`;
  return [...lines, '', summary];
}
