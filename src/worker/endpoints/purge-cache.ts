import type { PurgeOutcome } from '../edge.ts';

/** Cache tags per call: Cloudflare's limit of a purge (documentation of cache purge, November 2026). */
const TAGS_A_CALL = 100;

/** Purges by cache tags, in several calls if needed. */
export async function purgeCache(
  cache: Pick<CacheContext, 'purge'> | undefined,
  cacheTags: readonly string[],
): Promise<PurgeOutcome> {
  if (cache === undefined) return { kind: 'absent' };
  for (let at = 0; at < cacheTags.length; at += TAGS_A_CALL) {
    const { success, errors } = await cache.purge({ tags: cacheTags.slice(at, at + TAGS_A_CALL) });
    if (success) continue;
    const message = errors.map(({ code, message: text }) => `${text} (${String(code)})`).join(', ');
    // Five calls a minute after a burst of 25, for the whole account (same documentation).
    return { kind: /rate|limit|too many/i.test(message) ? 'limited' : 'failed', message };
  }
  return { kind: 'purged' };
}
