import { StorageError } from '../registry/store.ts';

/** How long storage is waited for, and how often it is asked. Times in milliseconds. */
export interface Persistence {
  readonly attempts: number;
  /** Of one attempt, until there is an answer; a body may take longer. */
  readonly attemptTime: number;
  /** Of all attempts together: no other begins after it. */
  readonly budget: number;
  /** Longest pause before the second attempt; it doubles with each, and a random part of it is waited. */
  readonly pause: number;
}

/** What is right for R2: its slowest answers take about a second, and clients give up after many. */
export const PERSISTENCE: Persistence = { attempts: 3, attemptTime: 5_000, budget: 8_000, pause: 100 };

/**
 * Does `work`, again if storage failed in a way that may pass. `discard` is given what comes of an attempt after its time.
 * Rejects with the last {@link StorageError}, and at once with whatever else goes wrong.
 */
export function persist<T>(
  work: () => Promise<T>,
  { attempts, attemptTime, budget, pause }: Persistence,
  discard: (late: T) => void,
): Promise<T> {
  const begun = Date.now();
  return new Promise((resolve, reject) => {
    const attempt = (number: number): void => {
      const fail = (error: unknown): void => {
        const again =
          error instanceof StorageError && error.retryable && number < attempts && Date.now() - begun < budget;
        if (again) setTimeout(() => attempt(number + 1), Math.random() * pause * 2 ** (number - 1));
        else reject(error instanceof Error ? error : new Error(String(error)));
      };
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        fail(new StorageError('STORAGE_UNAVAILABLE', `storage gave no answer within ${String(attemptTime)} ms`));
      }, attemptTime);
      const failed = (error: unknown): void => {
        clearTimeout(timer);
        if (!isLate) fail(error);
      };
      try {
        work().then((found) => {
          clearTimeout(timer);
          if (isLate) discard(found);
          else resolve(found);
        }, failed);
      } catch (error) {
        failed(error);
      }
    };
    attempt(1);
  });
}
