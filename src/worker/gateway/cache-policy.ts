/** What caches may do with each kind of answer: one table. */
import { assertNever, reasonRow, type Reason } from '../../registry/errors.ts';
import type { RepositoryName } from '../../registry/name.ts';
import type { RegistryRequest } from './registry-request.ts';

/** How an answer may be kept. `moving`: what a publisher may change; `immutable`: what a digest names; `miss`: what is not there; `never`: everything that says nothing about tomorrow. */
export type CacheKind = 'moving' | 'immutable' | 'miss' | 'never';

/** What is said of keeping an answer: to caches in the open, and to the one between gateway and registry, which can be purged. */
export interface Caching {
  readonly cacheControl: string;
  readonly edgeCacheControl: string;
}

/** Seconds that an answer which can move is fresh, wherever it is kept. */
export const MOVING_MAX_AGE = 60;

const YEAR = 31_536_000;

/**
 * Kind → directives. Stale answers are for the edge alone: there a purge reaches them, and no cache behind it adds its own to the lifetime. `s-maxage` and
 * `must-revalidate` must not appear: they switch the edge's stale modes off.
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
  miss: { cacheControl: 'public, max-age=5', edgeCacheControl: 'public, max-age=5' },
  never: { cacheControl: 'no-store', edgeCacheControl: 'no-store' },
} as const satisfies Record<CacheKind, Caching>;

/** How an answer to the request may be kept where it was found. */
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
      return 'moving';
    case 'v1-images':
      return 'miss';
    default:
      return assertNever(request);
  }
}

/** How an answer may be kept that gives a reason instead. */
export function cachingOfReason(reason: Reason): CacheKind {
  return reasonRow(reason).caching;
}

/**
 * The value of `Cache-Tag`: by what an answer can be purged. All answers to one URL carry the same tags, since a cache may know them under one identity.
 * `repository:` stands on what any publish in the repository can change, `tag:` on one tag in all its forms (and its absence), `everything:` on all of it.
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
    case 'v1-images':
      return [repositoryCacheTag(request.name), everythingCacheTag(request.name)].join(',');
    case 'catalog':
      return CATALOG_CACHE_TAG;
    default:
      return assertNever(request);
  }
}

/** On lists of repositories. */
export const CATALOG_CACHE_TAG = 'catalog';

/** On what any publish in a repository can change. */
export function repositoryCacheTag(name: RepositoryName): string {
  return `repository:${name}`;
}

/** On one tag; `tag` is `name:tag`. Cache tags know no case, so tags that differ in it alone are purged together. */
export function tagCacheTag(tag: string): string {
  return `tag:${tag}`;
}

/** On every answer of a repository, immutable ones included. */
export function everythingCacheTag(name: RepositoryName): string {
  return `everything:${name}`;
}
