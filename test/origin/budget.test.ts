/** A budget ends what costs too much. */
import { describe, expect, it, vi } from 'vitest';
import { type Budget, type BudgetLimits, withinBudget } from '../../src/origin/budget.ts';
import { OriginError } from '../../src/origin/errors.ts';

const LIMITS: BudgetLimits = { requests: 2, bytes: 10, time: 1_000 };

describe('a budget', () => {
  it('allows as many requests and bytes as it has', async () => {
    const received = await withinBudget(LIMITS, 'a task', (budget) => {
      budget.request();
      budget.request();
      budget.receive(4);
      budget.expect(6);
      budget.receive(6);
      return Promise.resolve(budget.received);
    });
    expect(received).toBe(10);
  });

  it.each<[string, (budget: Budget) => void]>([
    ['one request too many', ({ request }) => [1, 2, 3].forEach(request)],
    ['one byte too many', ({ receive }) => [10, 1].forEach(receive)],
    [
      'a body that cannot fit',
      (budget) => {
        budget.receive(5);
        budget.expect(6);
      },
    ],
  ])('refuses %s', async (_, work) => {
    const running = withinBudget(LIMITS, 'a task', (budget) => Promise.resolve(budget).then(work));
    await expect(running).rejects.toMatchObject({ code: 'ORIGIN_LIMIT', retryable: false });
    await expect(running).rejects.toThrow(/^a task needs more than .*, which is the limit$/);
  });

  it('ends when its time is over, and leaves no timer behind', async () => {
    vi.useFakeTimers();
    try {
      const running = withinBudget(
        LIMITS,
        'a task',
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              reject(signal.reason instanceof OriginError ? signal.reason : new Error('another reason'));
            });
          }),
      );
      const outcome = expect(running).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE', retryable: false });
      await vi.advanceTimersByTimeAsync(1_000);
      await outcome;
      await withinBudget(LIMITS, 'another', () => Promise.resolve());
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
