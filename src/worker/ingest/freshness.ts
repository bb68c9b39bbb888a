import type { OriginMark } from '../../registry/origin-mark.ts';
import { ExpiringMap } from '../storage/expiring-map.ts';
import type { OriginRule } from './origins.ts';

/**
 * How a stored tag may be served. `published`: it was published, and does not follow the upstream. `fresh`: served.
 * `stale`: served, and compared with the upstream in the background. `expired`: compared first. `incomplete`: forms of
 * it are unknown, so it is fetched again; clients that can read the others need not wait. `gone`: the upstream has not
 * had it for longer than the grace period.
 */
export type Freshness = 'published' | 'fresh' | 'stale' | 'expired' | 'incomplete' | 'gone';

/** Most milliseconds that a tag with unknown forms is answered without asking the upstream for them again. */
const UNKNOWN_LIFETIME = 10_000;

/**
 * Decides. `mark`: of the tag object, null if there is none; `checked`: the last comparison by this isolate, if later.
 * Times in milliseconds.
 */
export function freshnessOf(
  mark: OriginMark | null,
  checked: number | undefined,
  { lifetime, stale, grace }: Pick<OriginRule, 'lifetime' | 'stale' | 'grace'>,
  now: number,
): Freshness {
  if (mark === null) return 'published';
  const age = now - Math.max(mark.checked, checked ?? 0);
  if (mark.gone !== null && now - mark.gone >= grace) return age < lifetime ? 'gone' : 'expired';
  if (mark.unknown !== undefined && age >= Math.min(lifetime, UNKNOWN_LIFETIME) && age < lifetime + stale)
    return 'incomplete';
  if (age < lifetime) return 'fresh';
  return age < lifetime + stale ? 'stale' : 'expired';
}

/**
 * When this isolate last compared each tag with the upstream, in milliseconds: by the tag's key, one map for each rule.
 */
const comparisons = new WeakMap<OriginRule, ExpiringMap<number>>();

/** Tags kept for each rule. */
const MAX_TAGS = 10_000;

/** The times of this isolate's last comparisons under a rule. */
export function lastComparisons(rule: OriginRule): ExpiringMap<number> {
  let map = comparisons.get(rule);
  if (map === undefined) comparisons.set(rule, (map = new ExpiringMap(MAX_TAGS)));
  return map;
}
