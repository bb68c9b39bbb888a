/** `/healthz`: whether this Worker can read its bucket, for uptime checks. */
import { CATALOG_KEY } from '../../registry/keys.ts';
import { StorageError } from '../../registry/store.ts';
import { refused } from '../gateway/answer.ts';
import { CACHING } from '../gateway/cache-policy.ts';
import { type EdgeHandler, refuseTo } from '../gateway/edge-context.ts';
import { withRetry } from '../../bucket/retry.ts';
import { r2Store } from '../storage/r2-store.ts';

/**
 * Answers 200 if storage answers, whatever it contains, and 503 if not. It bypasses the cache, which could answer
 * although the bucket is unreachable.
 */
export const health: EdgeHandler = async (c) => {
  const { config, trace } = c.env;
  const count = { head: 0, get: 0 };
  try {
    await withRetry(() => r2Store(config.bucket, count).head(CATALOG_KEY), { ...config.retry, attempts: 1 });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return refuseTo(c, refused('storage-unavailable'));
  } finally {
    trace.heads += count.head;
  }
  const body = new TextEncoder().encode('ok\n');
  return new Response(body, {
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': String(body.length),
      'cache-control': CACHING.never.cacheControl,
    },
  });
};
