/** What repeated measurements say: the middle, and how far they lie apart. */

/**
 * Of several runs: the middle one, and how far they lie apart: the lowest and the highest, or between what half of them
 * lie.
 */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The spread of some values; throws a RangeError for none. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined) throw new RangeError('no values');
  return { median: percentileOf(sorted, 50), low, high };
}

/**
 * The middle one of many values, and between what half of them lie: of many short runs one or two always tell of
 * something else on the machine. Throws a RangeError for none.
 */
export function middleHalfOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = values.toSorted((a, b) => a - b);
  return { median: percentileOf(sorted, 50), low: percentileOf(sorted, 25), high: percentileOf(sorted, 75) };
}

/** The ratios of values that were measured side by side: what slows a whole round down slows both, and falls out. */
export function ratiosOf(values: readonly number[], others: readonly number[]): readonly number[] {
  return values.map((value, round) => value / (others[round] ?? NaN));
}

/** The spread of {@link ratiosOf}. */
export function ratioOf(values: readonly number[], others: readonly number[]): Spread {
  return spreadOf(ratiosOf(values, others));
}

/** A percentile (0 to 100) of values in ascending order, between neighbours where it falls there; NaN for none. */
export function percentileOf(sorted: readonly number[], percent: number): number {
  const at = ((sorted.length - 1) * percent) / 100;
  const [below, above] = [sorted[Math.floor(at)] ?? NaN, sorted[Math.ceil(at)] ?? NaN];
  return below + (above - below) * (at - Math.floor(at));
}

/** All of them together. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, one) => total + one, 0);
}
