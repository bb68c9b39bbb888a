/**
 * Requests to the registry in canonical form: everything that an answer depends on and nothing else, so that clients
 * share cache entries. The URL is a path of the OCI distribution spec, or one of ours, under a fixed host. The caller's
 * access is in the props of the entrypoint. The headers say what the client can read.
 */
import type { Accept } from '../../http/accept.ts';
import type { RequestedRange } from '../../http/range.ts';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { assertNever } from '../../registry/errors.ts';
import { parseRepositoryName, type RepositoryName } from '../../registry/name.ts';
import { parseReference, type Reference } from '../../registry/reference.ts';
import type { ListPage } from '../../bucket/list-page.ts';

/** The two addresses of the list: `static` may be cached, `dynamic` may have any query. */
export type FlatpakIndex = 'static' | 'dynamic';

/** What is requested. */
export type RegistryRequest =
  | { readonly kind: 'manifest'; readonly name: RepositoryName; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly name: RepositoryName; readonly digest: Digest }
  /** Whether the blob exists, and its length: for redirects. */
  | { readonly kind: 'blob-presence'; readonly name: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'tag-list'; readonly name: RepositoryName; readonly page: ListPage }
  | {
      readonly kind: 'referrers';
      readonly name: RepositoryName;
      readonly subject: Digest;
      readonly artifactType: string | null;
      readonly last: Digest | null;
    }
  /** The atomic signatures of a manifest. */
  | { readonly kind: 'signatures'; readonly name: RepositoryName; readonly subject: Digest }
  | { readonly kind: 'catalog'; readonly page: ListPage }
  /** The list of Flatpak applications in the repositories; `query` in canonical form. */
  | { readonly kind: 'flatpak-index'; readonly index: FlatpakIndex; readonly query: string }
  /** Whether there is an explanation for engines that fall back to the v1 API. */
  | { readonly kind: 'v1-images'; readonly name: RepositoryName };

/** The method and the headers that negotiation and ranges depend on. */
export interface RequestOptions {
  /** Whether the method is HEAD: then no body is opened. */
  readonly head: boolean;
  /** `Accept`, parsed once. Only manifests are negotiated; null for everything else. */
  readonly accept: Accept;
  readonly userAgent: string | null;
  /** Parts of a blob; null for all of it. */
  readonly ranges: readonly RequestedRange[] | null;
  /** The gateway reads the blob itself: it is sent as a stream, never as a redirect. */
  readonly streamed?: true;
  /** The client's address, by which fills are limited. No answer depends on it. */
  readonly client?: string | null;
}

const ORIGIN = 'https://registry.gantry';

/**
 * Format of the answers by digest. Workers Cache keeps them across versions of the Worker (`cross_version_cache`), so a
 * version that changes such an answer must raise it: its headers, its negotiation, or what the gateway reads of it.
 */
const CACHE_FORMAT = 1;
const OF_REPOSITORY = /^\/v2\/(.+)\/(manifests|blobs|blob-presence|referrers|signatures|tags|v1)\/([^/]+)$/;

/** The canonical path and query of a request. */
export function pathOf(request: RegistryRequest): string {
  switch (request.kind) {
    case 'manifest':
      return `/v2/${request.name}/manifests/${request.reference.kind === 'tag' ? request.reference.tag : request.reference.digest}`;
    case 'blob':
      return `/v2/${request.name}/blobs/${request.digest}`;
    case 'blob-presence':
      return `/v2/${request.name}/blob-presence/${request.digest}`;
    case 'tag-list':
      return `/v2/${request.name}/tags/list${queryOf({ n: request.page.n, last: request.page.last })}`;
    case 'referrers':
      return `/v2/${request.name}/referrers/${request.subject}${queryOf({ artifactType: request.artifactType, last: request.last })}`;
    case 'signatures':
      return `/v2/${request.name}/signatures/${request.subject}`;
    case 'flatpak-index':
      return `/index/${request.index}${request.query === '' ? '' : `?${request.query}`}`;
    case 'catalog':
      return `/v2/_catalog${queryOf({ n: request.page.n, last: request.page.last })}`;
    case 'v1-images':
      return `/v2/${request.name}/v1/images`;
    default:
      return assertNever(request);
  }
}

/**
 * The canonical URL of a request. Its first segment partitions the cache: what a digest names stays the same in all
 * versions of the Worker. Everything else depends on the settings of a version, such as realms and upstreams, and is
 * not served by the next one. `version`: id of the Worker's version; null if it is not known.
 */
export function urlOf(request: RegistryRequest, version: string | null): string {
  const format = String(CACHE_FORMAT);
  const partition = version === null || isNamedByDigest(request) ? format : `${format}-${encodeURIComponent(version)}`;
  return `${ORIGIN}/${partition}${pathOf(request)}`;
}

function isNamedByDigest(request: RegistryRequest): boolean {
  if (request.kind === 'manifest') return request.reference.kind === 'digest';
  return request.kind === 'blob' || request.kind === 'blob-presence';
}

/** Parses a canonical URL; null if it is none. */
export function parseRegistryUrl(url: string): RegistryRequest | null {
  const { pathname: whole, searchParams } = new URL(url);
  const pathname = /^\/[^/]+(\/(?:v2|index)\/.+)$/.exec(whole)?.[1] ?? '';
  if (pathname === '/index/static' || pathname === '/index/dynamic') {
    const index = pathname === '/index/static' ? 'static' : 'dynamic';
    return { kind: 'flatpak-index', index, query: searchParams.toString() };
  }
  if (pathname === '/v2/_catalog') return { kind: 'catalog', page: pageOf(searchParams) };
  const [, nameText = '', what, last = ''] = OF_REPOSITORY.exec(pathname) ?? [];
  const name = parseRepositoryName(nameText);
  if (name === null) return null;
  switch (what) {
    case 'manifests': {
      const reference = parseReference(last);
      return reference.kind === 'tag' || reference.kind === 'digest' ? { kind: 'manifest', name, reference } : null;
    }
    case 'blobs':
    case 'blob-presence': {
      const digest = parseDigest(last);
      return digest === null ? null : { kind: what === 'blobs' ? 'blob' : what, name, digest };
    }
    case 'referrers': {
      const subject = parseDigest(last);
      if (subject === null) return null;
      return {
        kind: 'referrers',
        name,
        subject,
        artifactType: searchParams.get('artifactType'),
        last: parseDigest(searchParams.get('last') ?? ''),
      };
    }
    case 'signatures': {
      const subject = parseDigest(last);
      return subject === null ? null : { kind: 'signatures', name, subject };
    }
    case 'tags':
      return { kind: 'tag-list', name, page: pageOf(searchParams) };
    case 'v1':
      return { kind: 'v1-images', name };
    default:
      return null;
  }
}

function pageOf(parameters: URLSearchParams): ListPage {
  const n = parameters.get('n');
  return { n: n === null ? null : Number(n), last: parameters.get('last') };
}

function queryOf(parameters: Readonly<Record<string, string | number | null>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== null) query.set(name, String(value));
  return query.size === 0 ? '' : `?${query.toString()}`;
}
