import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';

/** The page of a repository. Names need no encoding: their grammar has nothing that a path does not. */
export function repositoryPath(name: RepositoryName): string {
  return `/r/${name}`;
}

/** The page of a tag. No name has a colon, so the first one ends it. */
export function tagPath(name: RepositoryName, tag: Tag): string {
  return `/r/${name}:${tag}`;
}

/** What stands behind `/r/`: a repository, or a tag of one; null if it is neither. */
export function parsePagePath(text: string): { readonly name: RepositoryName; readonly tag: Tag | null } | null {
  const at = text.indexOf(':');
  const name = parseRepositoryName(at < 0 ? text : text.slice(0, at));
  const tag = at < 0 ? null : parseTag(text.slice(at + 1));
  return name === null || (at >= 0 && tag === null) ? null : { name, tag };
}
