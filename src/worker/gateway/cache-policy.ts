/** Cache lifetimes and cache tags: one table for all kinds of answers. */
import { assertNever, reasonRow, type Reason } from '../../registry/errors.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { RegistryRequest, RequestOptions } from './registry-request.ts';

/**
 * How an answer may be cached. `moving`: a publisher can change it; `immutable`: it is named by a digest; `miss`: it
 * was not found; `never`: it holds for this request alone.
 */
export type CacheKind = 'moving' | 'immutable' | 'miss' | 'never';

/** Directives for public caches, and for the cache between gateway and registry, which can be purged. */
export interface Caching {
  readonly cacheControl: string;
  readonly edgeCacheControl: string;
}

/** Freshness of a `moving` answer in every cache, in seconds. */
export const MOVING_MAX_AGE = 60;

const YEAR = 31_536_000;

/**
 * The directives for each kind. Only the edge may serve stale answers: a purge reaches them there, and lifetimes of
 * further caches do not add up. `s-maxage` and `must-revalidate` must not appear in the edge's directives, because they
 * disable stale answers there.
 */
export const CACHING = {
  moving: {
    cacheControl: `public, max-age=${String(MOVING_MAX_AGE)}`,
    edgeCacheControl: `public, max-age=${String(MOVING_MAX_AGE)}, stale-while-revalidate=30, stale-if-error=86400`,
  },
  immutable: {
    cacheControl: `public, max-age=${String(YEAR)}, immutable`,
    edgeCacheControl: `public, max-age=${String(YEAR)}, immutable`,
  },
  // A stale miss would hide what was published since. The edge's own cache has no stale answers for it.
  miss: { cacheControl: 'public, max-age=5, must-revalidate', edgeCacheControl: 'public, max-age=5' },
  never: { cacheControl: 'no-store', edgeCacheControl: 'no-store' },
} as const satisfies Record<CacheKind, Caching>;

/**
 * Whether a request goes through the cache in front of the registry. Blobs do not, unless they are switched on: each
 * call of the entrypoint is billed as a request (0.30 USD a million) whether it hits or not, and a read of R2 costs
 * 0.36. So the cache saves money only above 84 % hits. Parts of blobs and HEAD of blobs never do: the cache removes
 * `Range` before it calls the registry, and makes GET of HEAD (Cloudflare's documentation of Workers Cache, November
 * 2026).
 */
export function usesCache(
  { kind }: RegistryRequest,
  { head, ranges, streamed }: Pick<RequestOptions, 'head' | 'ranges' | 'streamed'>,
  blobCache: boolean,
): boolean {
  return kind !== 'blob' || (blobCache && !head && ranges === null && streamed !== true);
}

/** How the representation for a request may be cached. */
export function cachingOfFound(request: RegistryRequest): CacheKind {
  switch (request.kind) {
    case 'manifest':
      return request.reference.kind === 'digest' ? 'immutable' : 'moving';
    case 'blob':
    case 'blob-presence':
      return 'immutable';
    case 'tag-list':
    case 'catalog':
    case 'referrers':
    case 'signatures':
    case 'flatpak-index':
      return 'moving';
    case 'v1-images':
      return 'miss';
    default:
      return assertNever(request);
  }
}

/** How a refusal may be cached. */
export function cachingOfReason(reason: Reason): CacheKind {
  return reasonRow(reason).caching;
}

/**
 * The value of `Cache-Tag`, by which an answer can be purged. All answers to one URL have the same tags, because a
 * cache may store them under one key. `repository:` marks what any publish in the repository can change, `tag:` one tag
 * in all its forms (or its absence), and `everything:` all answers of the repository.
 */
export function cacheTags(request: RegistryRequest): string {
  switch (request.kind) {
    case 'manifest':
      return request.reference.kind === 'tag'
        ? [tagCacheTag(`${request.name}:${request.reference.tag}`), everythingCacheTag(request.name)].join(',')
        : everythingCacheTag(request.name);
    case 'blob':
    case 'blob-presence':
      return everythingCacheTag(request.name);
    case 'tag-list':
    case 'referrers':
    case 'signatures':
    case 'v1-images':
      return [repositoryCacheTag(request.name), everythingCacheTag(request.name)].join(',');
    case 'catalog':
    case 'flatpak-index':
      return CATALOG_CACHE_TAG;
    default:
      return assertNever(request);
  }
}

/** Marks lists of repositories. */
export const CATALOG_CACHE_TAG = 'catalog';

/** Marks what any publish in a repository can change. */
export function repositoryCacheTag(name: RepositoryName): string {
  return `repository:${name}`;
}

/** Marks one tag; `tag` is `name:tag`. Cache tags ignore case, so tags that differ only in case are purged together. */
export function tagCacheTag(tag: string): string {
  return `tag:${tag}`;
}

/** Marks all answers of a repository, including immutable ones. */
export function everythingCacheTag(name: string): string {
  return `everything:${name}`;
}
