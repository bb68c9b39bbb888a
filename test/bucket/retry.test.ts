import { describe, expect, test } from 'vitest';
import { StorageError } from '../../src/registry/store.ts';
import { withRetry } from '../../src/bucket/retry.ts';

const POLICY = { attempts: 3, attemptTimeout: 10, budget: 10_000, backoff: 1, maxBackoff: 10, maxRetryAfter: 0 };

const lost = (): StorageError => new StorageError('STORAGE_UNAVAILABLE', 'lost');

/** Something to do, by the number of the attempt, and what has come of it. */
function watched<T>(work: (attempt: number) => Promise<T>): {
  work: () => Promise<T>;
  discard: (late: T) => void;
  attempts: () => number;
  discarded: T[];
} {
  let attempts = 0;
  const discarded: T[] = [];
  return {
    work: () => work(++attempts),
    discard: (late) => void discarded.push(late),
    attempts: () => attempts,
    discarded,
  };
}

describe('what is done again', () => {
  test('is what failed in a way that may pass, as often as is allowed', async () => {
    const { work, discard, attempts } = watched(() => Promise.reject(lost()));
    await expect(withRetry(work, POLICY, { discard })).rejects.toThrow('lost');
    expect(attempts()).toBe(3);
  });

  test('gives what comes of the first attempt that succeeds', async () => {
    const { work, discard, attempts } = watched((attempt) =>
      attempt < 3 ? Promise.reject(lost()) : Promise.resolve('there'),
    );
    expect(await withRetry(work, POLICY, { discard })).toBe('there');
    expect(attempts()).toBe(3);
  });

  test('is nothing once the time for all attempts is over', async () => {
    const { work, discard, attempts } = watched(() => Promise.reject(lost()));
    await expect(withRetry(work, { ...POLICY, budget: 0 }, { discard })).rejects.toThrow('lost');
    expect(attempts()).toBe(1);
  });

  test.each([
    ['rejects', () => Promise.reject(new RangeError('wrong'))],
    [
      'throws',
      () => {
        throw new RangeError('wrong');
      },
    ],
  ])('is nothing that is wrong in another way: what %s', async (_, wrong) => {
    const first = watched(wrong);
    await expect(withRetry(first.work, POLICY, { discard: first.discard })).rejects.toThrow(RangeError);
    expect(first.attempts()).toBe(1);
    const second = watched((attempt) => (attempt === 1 ? Promise.reject(lost()) : wrong()));
    await expect(withRetry(second.work, POLICY, { discard: second.discard })).rejects.toThrow(RangeError);
    expect(second.attempts()).toBe(2);
  });
});

describe('what comes too late', () => {
  test('is let go, and another attempt answers', async () => {
    let arrive: (late: string) => void = () => undefined;
    const { work, discard, discarded } = watched((attempt) =>
      attempt === 1 ? new Promise<string>((resolve) => (arrive = resolve)) : Promise.resolve('in time'),
    );
    expect(await withRetry(work, POLICY, { discard })).toBe('in time');
    expect(discarded).toEqual([]);
    arrive('late');
    await Promise.resolve();
    expect(discarded).toEqual(['late']);
  });

  test('does not matter if it is a failure', async () => {
    let fail: (late: unknown) => void = () => undefined;
    const { work, discard, attempts, discarded } = watched((attempt) =>
      attempt === 1 ? new Promise<string>((_, reject) => (fail = reject)) : Promise.resolve('in time'),
    );
    expect(await withRetry(work, POLICY, { discard })).toBe('in time');
    fail(new RangeError('late'));
    await Promise.resolve();
    expect({ attempts: attempts(), discarded }).toEqual({ attempts: 2, discarded: [] });
  });

  test('says so where no attempt comes in time', async () => {
    const { work, discard } = watched(() => new Promise<never>(() => undefined));
    await expect(withRetry(work, { ...POLICY, attempts: 2 }, { discard })).rejects.toThrow(/no answer within 10 ms/);
  });
});
