/**
 * What a part of the benchmark found, and printing it: for people as tables that docs take as they are, for programs as
 * JSON.
 */
import type { Spread } from './statistics.ts';

/** One table. */
export interface Section {
  readonly title: string;
  /** What was measured and how, in a sentence or two. */
  readonly note: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly targets: readonly Target[];
}

/**
 * What a figure should be, and what it is. A benchmark is no test: a target that is missed is said, and nothing fails.
 * `wanted` is `told` where there is no target, and the figure is only told.
 */
export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly found: string;
  readonly met: boolean;
}

/** A target for a number that should be large: at least `least`. */
export function atLeast(what: string, least: number, found: Spread | number, show: (value: number) => string): Target {
  return { what, wanted: `≥ ${show(least)}`, found: shown(found, show), met: middle(found) >= least };
}

/** A target for a number that should be small: at most `most`. */
export function atMost(what: string, most: number, found: Spread | number, show: (value: number) => string): Target {
  return { what, wanted: `≤ ${show(most)}`, found: shown(found, show), met: middle(found) <= most };
}

/** A spread as text: `0.93 (0.90–0.95)`. */
export function shown(value: Spread | number, show: (value: number) => string): string {
  return typeof value === 'number' ? show(value) : `${show(value.median)} (${show(value.low)}–${show(value.high)})`;
}

/** A number with about three digits that count. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** A part of one, as percents. */
export function percent(value: number): string {
  return Number.isFinite(value) ? `${(value * 100).toFixed(0)} %` : '–';
}

/** A table as Markdown, its columns aligned. */
export function printSection({ title, note, columns, rows, targets }: Section): string {
  const parts = [`### ${title}`, note, tableOf(columns, rows)];
  if (targets.length > 0) {
    const found = targets.map(({ what, wanted, found: value, met }) => [
      what,
      wanted,
      value,
      wanted === 'told' ? '' : met ? 'met' : 'missed',
    ]);
    parts.push(tableOf(['target', 'wanted', 'found', ''], found));
  }
  return parts.join('\n\n');
}

function middle(value: Spread | number): number {
  return typeof value === 'number' ? value : value.median;
}

function tableOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [columns, ...rows];
  const widths = columns.map((_, at) => Math.max(3, ...all.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, at) => (cells[at] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(columns), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
