/** Image names as Docker and its kin write them: `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, where what stands for Docker Hub is left out. */
import { parseDigest } from '../../../registry/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName } from '../../../registry/name.ts';
import type { Reference } from '../../../registry/reference.ts';
import { usageError } from '../../cli/errors.ts';

/** A repository of a registry. */
export interface RemoteRepository {
  /** As in image names: `docker.io`, `registry.example.com:5000`, `[::1]:5000`. */
  readonly host: string;
  readonly name: RepositoryName;
}

/** An image of a registry. */
export interface RemoteImage extends RemoteRepository {
  readonly reference: Reference;
}

/** Where Docker Hub answers. */
const HUB_API = 'registry-1.docker.io';

/**
 * Reads an image name; the `//` of `docker://NAME` may stand before it. Without a tag it is `latest`; a digest beside a tag wins, as it does for Docker.
 * Throws {@link CommandError} (usage).
 */
export function parseRemoteImage(text: string): RemoteImage {
  const bare = text.replace(/^\/\//, '');
  const at = bare.indexOf('@');
  const digest = at < 0 ? undefined : parseDigest(bare.slice(at + 1));
  if (digest === null)
    throw usageError(`"${bare.slice(at + 1)}" is no digest`, 'Write NAME@sha256: and 64 hexadecimal digits in lower case.');
  const tagged = at < 0 ? bare : bare.slice(0, at);
  const colon = tagged.lastIndexOf(':');
  const hasTag = colon > tagged.lastIndexOf('/');
  const tag = parseTag(hasTag ? tagged.slice(colon + 1) : 'latest');
  if (tag === null) throw usageError(`"${tagged.slice(colon + 1)}" is no tag`, 'Write docker://HOST/NAME:TAG.');
  const repository = parseRemoteRepository(hasTag ? tagged.slice(0, colon) : tagged);
  return { ...repository, reference: digest === undefined ? { kind: 'tag', tag } : { kind: 'digest', digest } };
}

/** Reads `[HOST[:PORT]/]NAME`. Throws {@link CommandError} (usage). */
export function parseRemoteRepository(text: string): RemoteRepository {
  const bare = text.replace(/^\/\//, '');
  const slash = bare.indexOf('/');
  const first = slash < 0 ? '' : bare.slice(0, slash);
  // Docker's rule: what has a dot, a colon or an upper-case letter, or is localhost, is a host; all else is a name on Docker Hub.
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const host = isHost ? first : 'docker.io';
  const path = isHost ? bare.slice(slash + 1) : bare;
  const known = host === 'index.docker.io' || host === HUB_API ? 'docker.io' : host;
  const name = parseRepositoryName(known === 'docker.io' && !path.includes('/') ? `library/${path}` : path);
  if (
    name === null ||
    !URL.canParse(`https://${known}`) ||
    new URL(`https://${known}`).pathname !== '/' ||
    known.includes('@')
  ) {
    throw usageError(
      `"${bare}" is no image name`,
      'Write docker://HOST[:PORT]/NAME[:TAG], in lower case; without HOST it is Docker Hub.',
    );
  }
  return { host: known, name };
}

/** Where a host's registry is, for each scheme. */
export function registryUrl(host: string, scheme: 'https' | 'http'): URL {
  return new URL(`${scheme}://${host === 'docker.io' ? HUB_API : host}`);
}

/** Whether the host is this machine: what Docker talks to without TLS, too. */
export function isLoopback(host: string): boolean {
  const { hostname } = new URL(`http://${host}`);
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
