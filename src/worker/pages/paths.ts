import { type Digest, parseDigest } from '../../registry/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';

/** The path of a repository's page. Names need no encoding: their grammar allows only characters of paths. */
export function repositoryPath(name: RepositoryName, parameters: Parameters = {}): string {
  return withQuery(`/r/${name}`, parameters);
}

/**
 * The path of a tag's page. Names contain no colon, so the first colon ends the name. A path that ends in `.tar` is an
 * archive, so the dot of a tag that does is percent-encoded.
 */
export function tagPath(name: RepositoryName, tag: Tag, parameters: Parameters = {}): string {
  return withQuery(`/r/${name}:${tag.replace(/\.tar$/, '%2Etar')}`, parameters);
}

/** The path of the page of a manifest, by its digest. */
export function manifestPath(name: RepositoryName, digest: Digest, parameters: Parameters = {}): string {
  return withQuery(`/r/${name}@${digest}`, parameters);
}

/** The path of a blob, as clients pull it. */
export function blobPath(name: RepositoryName, digest: Digest): string {
  return `/v2/${name}/blobs/${digest}`;
}

/** The path of a tag's archive for `docker load`. */
export function archivePath(name: RepositoryName, tag: Tag): string {
  return `/r/${name}:${tag}.tar`;
}

/** Parameters of a query; those that are null or empty are left out. */
export type Parameters = Readonly<Record<string, string | null>>;

/** A path with a query. */
export function withQuery(path: string, parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== null && value !== '') query.set(name, value);
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

/** What a page is about. */
export type PageSubject =
  | { readonly kind: 'repository'; readonly name: RepositoryName }
  | { readonly kind: 'tag'; readonly name: RepositoryName; readonly tag: Tag }
  | { readonly kind: 'manifest'; readonly name: RepositoryName; readonly digest: Digest };

/** Parses the path after `/r/`: a repository, `<name>:<tag>` or `<name>@<digest>`; null if it is none of them. */
export function parsePagePath(text: string): PageSubject | null {
  const at = text.search(/[:@]/);
  const name = parseRepositoryName(at < 0 ? text : text.slice(0, at));
  if (name === null) return null;
  if (at < 0) return { kind: 'repository', name };
  const rest = text.slice(at + 1);
  if (text.charAt(at) === ':') {
    const tag = parseTag(rest);
    return tag === null ? null : { kind: 'tag', name, tag };
  }
  const digest = parseDigest(rest);
  return digest === null ? null : { kind: 'manifest', name, digest };
}

/** The path of the page of a subject. */
export function subjectPath(subject: PageSubject): string {
  switch (subject.kind) {
    case 'repository':
      return repositoryPath(subject.name);
    case 'tag':
      return tagPath(subject.name, subject.tag);
    case 'manifest':
      return manifestPath(subject.name, subject.digest);
  }
}
