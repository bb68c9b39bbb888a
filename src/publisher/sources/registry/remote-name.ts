/** Image names in Docker's syntax: `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`; without HOST it is Docker Hub. */
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

/** The host of Docker Hub's API. */
const HUB_API = 'registry-1.docker.io';

/**
 * Parses an image name, with or without the `//` of `docker://NAME`. The default tag is `latest`. A digest takes
 * precedence over a tag, as in Docker.
 * Throws {@link CommandError} (usage).
 */
export function parseRemoteImage(text: string): RemoteImage {
  const bare = text.replace(/^\/\//, '');
  const at = bare.indexOf('@');
  const digest = at < 0 ? undefined : parseDigest(bare.slice(at + 1));
  if (digest === null)
    throw usageError(
      `"${bare.slice(at + 1)}" is not a valid digest`,
      'Write NAME@sha256: and 64 hexadecimal digits in lower case.',
    );
  const tagged = at < 0 ? bare : bare.slice(0, at);
  const colon = tagged.lastIndexOf(':');
  const hasTag = colon > tagged.lastIndexOf('/');
  const tag = parseTag(hasTag ? tagged.slice(colon + 1) : 'latest');
  if (tag === null)
    throw usageError(`"${tagged.slice(colon + 1)}" is not a valid tag`, 'Write docker://HOST/NAME:TAG.');
  const repository = parseRemoteRepository(hasTag ? tagged.slice(0, colon) : tagged);
  return { ...repository, reference: digest === undefined ? { kind: 'tag', tag } : { kind: 'digest', digest } };
}

/** Parses `[HOST[:PORT]/]NAME`. Throws {@link CommandError} (usage). */
export function parseRemoteRepository(text: string): RemoteRepository {
  const bare = text.replace(/^\/\//, '');
  const slash = bare.indexOf('/');
  const first = slash < 0 ? '' : bare.slice(0, slash);
  // Docker's rule: a first part with a dot, a colon or an upper-case letter, or localhost, is a host.
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
      `"${bare}" is not a valid image name`,
      'Write docker://HOST[:PORT]/NAME[:TAG], in lower case; without HOST it is Docker Hub.',
    );
  }
  return { host: known, name };
}

/** The base URL of a host's registry. */
export function registryUrl(host: string, scheme: 'https' | 'http'): URL {
  return new URL(`${scheme}://${host === 'docker.io' ? HUB_API : host}`);
}

/** Whether the host is this machine, where Docker also allows plain http. */
export function isLoopback(host: string): boolean {
  const { hostname } = new URL(`http://${host}`);
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
