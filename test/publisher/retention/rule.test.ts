/** Which tags a retention rule deletes. */
import { describe, expect, it } from 'vitest';
import { type RetentionRule, selectExpired } from '../../../src/publisher/retention/rule.ts';
import { tagOf } from '../gc-bucket.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 100);

/** Tag → age in days; null: its time is not known. */
const AGES = {
  latest: 0,
  'pr-1': 200,
  'pr-2': 100,
  'pr-3': 90,
  'pr-4': 1,
  'pr-5': null,
  v1: 400,
  [`sha256-${'0'.repeat(64)}.sig`]: 400,
} as const;

const TAGS = Object.entries(AGES).map(([tag, age]) => ({
  tag: tagOf(tag),
  moved: age === null ? null : NOW - age * DAY,
}));

const select = (rule: Partial<RetentionRule>, tags = TAGS): string[] =>
  selectExpired(tags, { tags: [], keep: undefined, olderThan: undefined, ...rule }, NOW).map(({ tag }) => tag);

describe('a retention rule', () => {
  it.each<[Partial<RetentionRule>, string[]]>([
    // Exactly as old as the limit is not older.
    [{ olderThan: 90 * DAY, tags: ['pr-*'] }, ['pr-2', 'pr-1']],
    [{ olderThan: 90 * DAY }, ['pr-2', 'pr-1', 'v1']],
    [{ olderThan: 1_000 * DAY }, []],
    [{ keep: 1, tags: ['pr-*'] }, ['pr-3', 'pr-2', 'pr-1']],
    [{ keep: 3, tags: ['pr-*'] }, ['pr-1']],
    [{ keep: 10, tags: ['pr-*'] }, []],
    [{ keep: 3 }, ['pr-2', 'pr-1', 'v1']],
    // Both conditions must hold.
    [{ keep: 1, olderThan: 95 * DAY, tags: ['pr-*'] }, ['pr-2', 'pr-1']],
    [{ keep: 3, olderThan: DAY, tags: ['pr-*'] }, ['pr-1']],
    [{ keep: 1, tags: ['pr-*', '!pr-3'] }, ['pr-2', 'pr-1']],
    [{ keep: 1, tags: ['none-*'] }, []],
  ])('%j deletes %j', (rule, expected) => {
    expect(select(rule)).toEqual(expected);
  });

  it('orders tags that moved at the same time as people count', () => {
    const tags = ['pr-9', 'pr-10', 'pr-2'].map((tag) => ({ tag: tagOf(tag), moved: NOW }));
    expect(select({ keep: 1 }, tags)).toEqual(['pr-9', 'pr-2']);
  });
});
