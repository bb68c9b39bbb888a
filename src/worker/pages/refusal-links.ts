/**
 * The links that help after a refusal, made from the path alone. They do not depend on what the registry holds, so that
 * they do not reveal whether a protected repository exists. Pure.
 */
import { parseReference } from '../../registry/reference.ts';
import type { Reason } from '../../registry/errors.ts';
import { parseRepositoryName } from '../../registry/name.ts';
import { type PageSubject, parsePagePath, repositoryPath, subjectPath } from './paths.ts';

/** A link, and its text. */
export interface RefusalLink {
  readonly href: string;
  readonly text: string;
}

/** Refusals that are given only where the caller may read the repository, and the repository exists. */
const INSIDE: ReadonlySet<Reason> = new Set(['tag-unknown', 'manifest-unknown', 'platform-unknown']);

/** The links for a refused path: the page of what it names, and of its repository. */
export function refusalLinks(path: string, reason: Reason): readonly RefusalLink[] {
  const isPage = path.startsWith('/r/');
  const subject = subjectOf(path);
  if (subject === null) return [];
  const links: RefusalLink[] = [];
  if (!isPage && !INSIDE.has(reason)) links.push({ href: subjectPath(subject), text: `Look for ${titleOf(subject)}` });
  if (INSIDE.has(reason)) links.push({ href: repositoryPath(subject.name), text: `All tags of ${subject.name}` });
  if (reason === 'platform-unknown' && subject.kind === 'tag')
    links.unshift({ href: subjectPath(subject), text: `All platforms of ${titleOf(subject)}` });
  return links;
}

/** What a path names: that of a page, of an endpoint, or an image's name after the host. */
function subjectOf(path: string): PageSubject | null {
  const text = decoded(path);
  if (text === null) return null;
  const api = /^\/v2\/(.+?)\/(?:(manifests|referrers)\/([^/]+)|tags\/list|blobs\/[^/]+)$/.exec(text);
  if (api !== null) {
    const name = parseRepositoryName(api[1] ?? '');
    if (name === null) return null;
    const reference = api[2] === undefined ? null : parseReference(api[3] ?? '');
    if (reference?.kind === 'tag') return { kind: 'tag', name, tag: reference.tag };
    if (reference?.kind === 'digest') return { kind: 'manifest', name, digest: reference.digest };
    return { kind: 'repository', name };
  }
  if (/^\/(?:v1|v2|help|token|-)(?:\/|$)/.test(text)) return null;
  return parsePagePath(text.replace(/^\/(?:r\/)?/, '').replace(/(?:\.tar|\/)$/, ''));
}

function decoded(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

function titleOf(subject: PageSubject): string {
  switch (subject.kind) {
    case 'repository':
      return subject.name;
    case 'tag':
      return `${subject.name}:${subject.tag}`;
    case 'manifest':
      return `${subject.name}@${subject.digest.slice(0, 19)}`;
  }
}
