import type { PurgeOutcome } from '../edge.ts';

/** Cache tags per call. */
const TAGS_A_CALL = 30;

/** Purges by cache tags, in several calls if needed. */
export async function purgeCache(
  cache: Pick<CacheContext, 'purge'> | undefined,
  cacheTags: readonly string[],
): Promise<PurgeOutcome> {
  if (cache === undefined) return { kind: 'absent' };
  for (let at = 0; at < cacheTags.length; at += TAGS_A_CALL) {
    const { success, errors } = await cache.purge({ tags: cacheTags.slice(at, at + TAGS_A_CALL) });
    if (!success)
      return { kind: 'failed', message: errors.map(({ code, message }) => `${message} (${String(code)})`).join(', ') };
  }
  return { kind: 'purged' };
}
