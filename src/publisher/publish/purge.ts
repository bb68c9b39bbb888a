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
      answer.status === 401 || answer.status === 403 ? 'it refuses PURGE_TOKEN' : `it answers ${String(answer.status)}`;
    return `the cache at ${url.host} was not purged: ${why}; the tag is seen everywhere once its lifetime there is over`;
  } catch (error) {
    signal?.throwIfAborted();
    const why =
      error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
    return `the cache at ${url.host} was not purged: ${why}; the tag is seen everywhere once its lifetime there is over`;
  }
}
