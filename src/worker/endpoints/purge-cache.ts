import type { PurgeOutcome } from '../edge.ts';

/** Tags of one call. */
const TAGS_A_CALL = 30;

/** Purges by cache tags, in as many calls as that takes. */
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
