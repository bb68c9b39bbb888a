/** `NAME:TAG` and its kin, as they stand on the command line. */
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import { CommandError } from './errors.ts';

/** What an argument names: a repository, one of its tags, or a manifest by digest. */
export type ImageName =
  | { readonly kind: 'repository'; readonly name: RepositoryName }
  | { readonly kind: 'tag'; readonly name: RepositoryName; readonly tag: Tag }
  | { readonly kind: 'digest'; readonly name: RepositoryName; readonly digest: Digest };

/** Reads `NAME`, `NAME:TAG` or `NAME@DIGEST`. Throws {@link CommandError} (usage). */
export function parseImageName(text: string): ImageName {
  const at = text.indexOf('@');
  if (at >= 0) {
    const digest = parseDigest(text.slice(at + 1));
    if (digest === null)
      throw usage(
        `"${text.slice(at + 1)}" is no digest`,
        'Write NAME@sha256: and 64 hexadecimal digits in lower case.',
      );
    return { kind: 'digest', name: nameOf(text.slice(0, at)), digest };
  }
  const colon = text.lastIndexOf(':');
  // A colon before a slash belongs to a host and port, which parsing the name then complains about.
  if (colon < 0 || text.includes('/', colon)) return { kind: 'repository', name: nameOf(text) };
  const tag = parseTag(text.slice(colon + 1));
  if (tag === null) {
    throw usage(
      `"${text.slice(colon + 1)}" is no tag`,
      'A tag has at most 128 letters, digits, "_", "." and "-", and begins with a letter, digit or "_".',
    );
  }
  return { kind: 'tag', name: nameOf(text.slice(0, colon)), tag };
}

/** Reads `NAME:TAG`. Throws {@link CommandError} (usage) on anything else. */
export function parseTagged(text: string): { readonly name: RepositoryName; readonly tag: Tag } {
  const image = parseImageName(text);
  if (image.kind !== 'tag') throw usage(`"${text}" names no tag`, `Write NAME:TAG, e.g. ${image.name}:latest.`);
  return image;
}

function nameOf(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name !== null) return name;
  const host = /^[^/]*[.:][^/]*\//.exec(text)?.[0];
  throw usage(
    `"${text}" is no repository name`,
    host === undefined
      ? 'A name has lower-case letters and digits, with ".", "_", "__" or "-" between them, and "/" between its parts; at most 255 characters.'
      : `Leave out the host: ${text.slice(host.length)}.`,
  );
}

function usage(message: string, hint: string): CommandError {
  return new CommandError(message, { kind: 'usage', hint });
}
