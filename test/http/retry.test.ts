import { describe, expect, test } from 'vitest';
import { parseRetryAfter, retryDelay } from '../../src/http/retry.ts';

const NOW = Date.UTC(2026, 0, 1);
const POLICY = { attempts: 4, backoff: 500, maxBackoff: 10_000, maxRetryAfter: 60_000 };

test.each([
  ['120', 120_000],
  ['0', 0],
  [' 7 ', 7_000],
  ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
  ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
  ['2026', 2_026_000],
  ['soon', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  [null, undefined],
])('Retry-After %s is read', (text, expected) => {
  expect(parseRetryAfter(text, NOW)).toBe(expected);
});

describe('the pause before another attempt', () => {
  test('grows, is spread at random, has a ceiling, and ends', () => {
    const waits = [1, 2, 3].map((attempt) => [
      retryDelay(attempt, undefined, 0, POLICY),
      retryDelay(attempt, undefined, 0.999, POLICY),
    ]);
    expect(waits.map(([least]) => least)).toEqual([250, 500, 1000]);
    for (const [least, most] of waits) expect((most ?? 0) / (least ?? 1)).toBeCloseTo(2, 1);
    expect(retryDelay(4, undefined, 0, POLICY)).toBeNull();
    expect(retryDelay(20, undefined, 0.999, { ...POLICY, attempts: 100 })).toBeLessThanOrEqual(10_000);
  });

  test('is never shorter than Retry-After, and not done where that asks for too much', () => {
    expect(retryDelay(1, 5_000, 0, POLICY)).toBeGreaterThanOrEqual(5_000);
    expect(retryDelay(1, 60_001, 0, POLICY)).toBeNull();
  });
});
