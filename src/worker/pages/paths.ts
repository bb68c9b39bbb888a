import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';

/** The path of a repository's page. Names need no encoding: their grammar allows only characters of paths. */
export function repositoryPath(name: RepositoryName): string {
  return `/r/${name}`;
}

/**
 * The path of a tag's page. Names contain no colon, so the first colon ends the name. A path that ends in `.tar` is an
 * archive, so the dot of a tag that does is percent-encoded.
 */
export function tagPath(name: RepositoryName, tag: Tag): string {
  return `/r/${name}:${tag.replace(/\.tar$/, '%2Etar')}`;
}

/** The path of a tag's archive for `docker load`. */
export function archivePath(name: RepositoryName, tag: Tag): string {
  return `/r/${name}:${tag}.tar`;
}

/** Parses the path after `/r/`: a repository, or a tag; null if it is neither. */
export function parsePagePath(text: string): { readonly name: RepositoryName; readonly tag: Tag | null } | null {
  const at = text.indexOf(':');
  const name = parseRepositoryName(at < 0 ? text : text.slice(0, at));
  const tag = at < 0 ? null : parseTag(text.slice(at + 1));
  return name === null || (at >= 0 && tag === null) ? null : { name, tag };
}
