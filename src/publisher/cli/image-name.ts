/** Image names on the command line: `NAME`, `NAME:TAG` and `NAME@DIGEST`. */
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../registry/name.ts';
import { usageError } from './errors.ts';

/** A repository, one of its tags, or a manifest by digest. */
export type ImageName =
  | { readonly kind: 'repository'; readonly name: RepositoryName }
  | { readonly kind: 'tag'; readonly name: RepositoryName; readonly tag: Tag }
  | { readonly kind: 'digest'; readonly name: RepositoryName; readonly digest: Digest };

/** Parses `NAME`, `NAME:TAG` or `NAME@DIGEST`. Throws {@link CommandError} (usage). */
export function parseImageName(text: string): ImageName {
  const at = text.indexOf('@');
  if (at >= 0) {
    const digest = parseDigest(text.slice(at + 1));
    if (digest === null)
      throw usageError(
        `"${text.slice(at + 1)}" is not a valid digest`,
        'Write NAME@sha256: and 64 hexadecimal digits in lower case.',
      );
    return { kind: 'digest', name: nameOf(text.slice(0, at)), digest };
  }
  const colon = text.lastIndexOf(':');
  // A colon before a slash belongs to a host and port, which the name parser refuses.
  if (colon < 0 || text.includes('/', colon)) return { kind: 'repository', name: nameOf(text) };
  const tag = parseTag(text.slice(colon + 1));
  if (tag === null) {
    throw usageError(
      `"${text.slice(colon + 1)}" is not a valid tag`,
      'A tag has at most 128 letters, digits, "_", "." and "-", and begins with a letter, digit or "_".',
    );
  }
  return { kind: 'tag', name: nameOf(text.slice(0, colon)), tag };
}

/**
 * Refuses a name whose first part is probably a registry's host: Docker takes a part with a dot or a port for one, and
 * `localhost`. Throws {@link CommandError} (usage).
 */
export function refuseHost(name: RepositoryName): void {
  const [first = '', ...rest] = name.split('/');
  if (rest.length === 0 || !(first.includes('.') || first === 'localhost')) return;
  throw usageError(
    `"${first}" in ${name} is probably the host of a registry, which is not part of the name`,
    `Leave it out: ${rest.join('/')}. To publish under this very name, add --name-as-given.`,
  );
}

/** Parses `NAME:TAG`. Throws {@link CommandError} (usage) on anything else. */
export function parseTagged(text: string): { readonly name: RepositoryName; readonly tag: Tag } {
  const image = parseImageName(text);
  if (image.kind !== 'tag') throw usageError(`"${text}" has no tag`, `Write NAME:TAG, e.g. ${image.name}:latest.`);
  return image;
}

/** Prefixes of sources that have no `//`. */
const TRANSPORTS: ReadonlySet<string> = new Set([
  'dir:',
  'oci:',
  'oci-archive:',
  'docker-archive:',
  'docker-daemon:',
  'containers-storage:',
  'pulp2:',
]);

function nameOf(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name !== null) return name;
  const transport = /^[a-z][a-z0-9-]*:(?:\/\/)?/.exec(text)?.[0];
  if (transport !== undefined && (transport.endsWith('/') || TRANSPORTS.has(transport)))
    throw usageError(
      `"${text}" begins with ${transport}, which belongs to a source`,
      'Write the name alone, such as team/app:1. The option --to chooses the bucket.',
    );
  const host = /^[^/]*[.:][^/]*\//.exec(text)?.[0];
  throw usageError(
    `"${text}" is not a valid repository name`,
    host === undefined
      ? 'A name has lower-case letters and digits, with ".", "_", "__" or "-" between them, and "/" between its parts; at most 255 characters.'
      : `Leave out the host: ${text.slice(host.length)}.`,
  );
}
