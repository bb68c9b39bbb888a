/** Purges the tags that moved from the caches of the edge. */
import type { Edge } from '../cli/environment.ts';

/** A tag that was moved or deleted. */
export interface MovedTag {
  readonly name: string;
  readonly tag: string;
}

// Purging can be slow; without it, caches are right again after the lifetime of a tag.
const TIMEOUT_MS = 15_000;

/** Purges. Gives a warning if that failed: the tags are written, and caches follow after their lifetime. */
export async function purgeEdge(
  { url, token }: Edge,
  moved: readonly MovedTag[],
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (moved.length === 0) return undefined;
  const target = new URL('/-/purge', url);
  const body = {
    repositories: [...new Set(moved.map(({ name }) => name))],
    tags: moved.map(({ name, tag }) => `${name}:${tag}`),
  };
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await fetch(target, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    await answer.body?.cancel();
    if (answer.ok) return undefined;
    const why =
      answer.status === 401 || answer.status === 403
        ? 'it refuses PURGE_TOKEN'
        : answer.status === 429
          ? 'Cloudflare accepts no more purges for now'
          : `it answers ${String(answer.status)}`;
    return notPurged(url, why);
  } catch (error) {
    signal?.throwIfAborted();
    const why =
      error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
    return notPurged(url, why);
  }
}

/** The most tags in one purge request. */
const PURGED_AT_ONCE = 500;

/** Purges any number of tags. Gives a warning for each request that failed. */
export async function purgeInParts(edge: Edge, moved: readonly MovedTag[]): Promise<readonly string[]> {
  const warnings: string[] = [];
  for (let at = 0; at < moved.length; at += PURGED_AT_ONCE) {
    const trouble = await purgeEdge(edge, moved.slice(at, at + PURGED_AT_ONCE));
    if (trouble !== undefined) warnings.push(trouble);
  }
  return warnings;
}

/** A cache serves a tag for 60 seconds, and for 30 more while it fetches the new one (`cache-policy.ts`). */
const STALE_MS = 90_000;

function notPurged({ host }: URL, why: string): string {
  const until = new Date(Date.now() + STALE_MS).toISOString().replace(/\.\d+Z$/, 'Z');
  return `the cache at ${host} was not purged: ${why}. Clients may see the old tag until ${until}.`;
}
