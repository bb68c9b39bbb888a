/**
 * The bucket's layout. Only this module builds and parses keys.
 *
 * ```
 * blobs/<realm>/<algorithm>/<hex>              layer or config; immutable
 * repositories/<name>/_manifests/<digest>      one manifest, exact bytes; immutable; content type = its media type
 * repositories/<name>/_tags/<tag>              tag object: all forms of the tag (records.ts)
 * repositories/<name>/_tags.json               sorted tag list, with what pages show (sorted-list.ts)
 * repositories/<name>/_referrers/<digest>.json referrers of that manifest (referrers.ts)
 * repositories/<name>/_signatures/<digest>.json atomic signatures of that manifest (origin/signatures.ts)
 * catalog.json                                 sorted repository list (sorted-list.ts)
 * gantry.json                                  version of this layout, and what storage can do (bucket/format.ts)
 * sync/<hex>.json                              what a sync remembers of a source (publisher/sync/state.ts)
 * gc.json                                      journal of garbage collection: unreferenced objects and deletions
 * ```
 * No component of a repository name begins with `_`, so `_manifests`, `_tags`, `_referrers` and `_signatures` mark the
 * end of the name. The longest key is 13 + 255 + 13 + 140 bytes, below R2's limit of 1,024.
 */
import { type Digest, algorithmOf, hexOf, parseDigest } from './digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from './name.ts';
import type { RealmName } from './realms.ts';

/** The sorted list of all repositories. */
export const CATALOG_KEY = 'catalog.json';

/** The journal of garbage collection; publishers read it. */
export const GC_JOURNAL_KEY = 'gc.json';

/** The format object: the version of the layout. */
export const FORMAT_KEY = 'gantry.json';

/** What a sync remembers of a source. `id`: hexadecimal, of the source. */
export function syncStateKey(id: string): string {
  return `sync/${id}.json`;
}

/** The prefix of everything that belongs to repositories. */
export const REPOSITORIES_PREFIX = 'repositories/';

/** The prefix of all blobs. */
export const BLOBS_PREFIX = 'blobs/';

/** A blob of a realm. */
export function blobKey(realm: RealmName, digest: Digest): string {
  return `${BLOBS_PREFIX}${realm}/${algorithmOf(digest)}/${hexOf(digest)}`;
}

/** The prefix of a repository's objects, and of repositories below it such as `<name>/more`: see {@link parseKey}. */
export function repositoryPrefix(name: RepositoryName): string {
  return `${REPOSITORIES_PREFIX}${name}/`;
}

/** One manifest, by the digest of its bytes, or of its payload for schema 1. */
export function manifestKey(name: RepositoryName, digest: Digest): string {
  return `${manifestsPrefix(name)}${digest}`;
}

/** All manifests of a repository. */
export function manifestsPrefix(name: RepositoryName): string {
  return `${repositoryPrefix(name)}_manifests/`;
}

/** One tag's object. */
export function tagKey(name: RepositoryName, tag: Tag): string {
  return `${tagsPrefix(name)}${tag}`;
}

/** All tag objects of a repository. */
export function tagsPrefix(name: RepositoryName): string {
  return `${repositoryPrefix(name)}_tags/`;
}

/** A repository's sorted tag list. The repository exists if this object exists. */
export function tagListKey(name: RepositoryName): string {
  return `${repositoryPrefix(name)}_tags.json`;
}

/** The referrers record of one manifest. */
export function referrersKey(name: RepositoryName, subject: Digest): string {
  return `${referrersPrefix(name)}${subject}.json`;
}

/** All referrers records of a repository. */
export function referrersPrefix(name: RepositoryName): string {
  return `${repositoryPrefix(name)}_referrers/`;
}

/** The signatures record of one manifest. */
export function signaturesKey(name: RepositoryName, subject: Digest): string {
  return `${repositoryPrefix(name)}_signatures/${subject}.json`;
}

/** A parsed key. */
export type ParsedKey =
  | { readonly kind: 'blob'; readonly realm: string; readonly digest: Digest }
  | { readonly kind: 'manifest'; readonly name: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'tag'; readonly name: RepositoryName; readonly tag: Tag }
  | { readonly kind: 'tag-list'; readonly name: RepositoryName }
  | { readonly kind: 'referrers'; readonly name: RepositoryName; readonly subject: Digest }
  | { readonly kind: 'signatures'; readonly name: RepositoryName; readonly subject: Digest }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'format' }
  | { readonly kind: 'sync-state'; readonly id: string }
  | { readonly kind: 'gc-journal' };

/** Parses a key; null if it is not part of the layout. */
export function parseKey(key: string): ParsedKey | null {
  if (key === CATALOG_KEY) return { kind: 'catalog' };
  if (key === FORMAT_KEY) return { kind: 'format' };
  if (key === GC_JOURNAL_KEY) return { kind: 'gc-journal' };
  const state = /^sync\/([0-9a-f]{64})\.json$/.exec(key);
  if (state !== null) return { kind: 'sync-state', id: state[1] ?? '' };
  const blob = /^blobs\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(key);
  if (blob !== null) {
    const digest = parseDigest(`${blob[2] ?? ''}:${blob[3] ?? ''}`);
    return digest === null ? null : { kind: 'blob', realm: blob[1] ?? '', digest };
  }
  const part = /^repositories\/(.+?)\/(_manifests|_tags|_referrers|_signatures)\/([^/]+)$/.exec(key);
  if (part !== null) {
    const name = parseRepositoryName(part[1] ?? '');
    const last = part[3] ?? '';
    if (name === null) return null;
    if (part[2] === '_tags') {
      const tag = parseTag(last);
      return tag === null ? null : { kind: 'tag', name, tag };
    }
    if (part[2] === '_manifests') {
      const digest = parseDigest(last);
      return digest === null ? null : { kind: 'manifest', name, digest };
    }
    const subject = last.endsWith('.json') ? parseDigest(last.slice(0, -'.json'.length)) : null;
    const kind = part[2] === '_referrers' ? 'referrers' : 'signatures';
    return subject === null ? null : { kind, name, subject };
  }
  const list = /^repositories\/(.+)\/_tags\.json$/.exec(key);
  const name = list === null ? null : parseRepositoryName(list[1] ?? '');
  return name === null ? null : { kind: 'tag-list', name };
}
