import { describe, expect, it } from 'vitest';
import { withRealms } from '../../src/bucket/realm-mark.ts';
import { withRetries } from '../../src/bucket/retry.ts';
import type { DeleteFenced } from '../../src/registry/store.ts';
import { Bucket } from '../publisher/gc-bucket.ts';

const FENCE = { from: new Date(0), seconds: 1 };
const POLICY = { attempts: 1, backoff: 0, maxBackoff: 0, maxRetryAfter: 0 };

describe.each([
  ['that marks realms', (store: Bucket) => withRealms(store, [], null)],
  ['that retries', (store: Bucket) => withRetries(store, POLICY)],
])('a store %s', (_, wrap) => {
  it('gives deletions the deadline that the store below enforces', async () => {
    const seen: unknown[] = [];
    const deleteFenced: DeleteFenced = (keys, fence) => {
      seen.push([keys, fence]);
      return Promise.resolve('expired');
    };
    const store = wrap(Object.assign(new Bucket(), { deleteFenced }));
    expect(await store.deleteFenced?.(['key'], FENCE)).toBe('expired');
    expect(seen).toEqual([[['key'], FENCE]]);
  });

  it('has no deadlines where the store below needs none', () => {
    expect(wrap(new Bucket()).deleteFenced).toBeUndefined();
  });
});
