/** The commands that pull an image, by client. Pure. */
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { archivePath } from './paths.ts';

/** The image or artifact to pull. */
export interface Pulled {
  /** Host and port, as clients write them. */
  readonly host: string;
  /** Whether the registry is served over plain HTTP. */
  readonly isPlain: boolean;
  readonly name: RepositoryName;
  /** Null for a manifest that is shown by its digest. */
  readonly tag: Tag | null;
  /** The digest that pins what is shown. */
  readonly digest: Digest | null;
  /** The chosen platform; null for the client's own. */
  readonly platform: string | null;
  readonly isArtifact: boolean;
}

/** A client, and the command. */
export interface PullCommand {
  readonly client: string;
  readonly command: string;
}

/** Platforms that need no quoting in a shell. Others, which an image may name, are pulled by their digest alone. */
const PLAIN_PLATFORM = /^[\w][\w.+-]*(?:\/[\w][\w.+-]*){1,2}$/;

/** The commands, the most common client first. */
export function pullCommands(pulled: Pulled): readonly PullCommand[] {
  const { host, isPlain, name, tag, digest, platform, isArtifact } = pulled;
  const pinned = digest === null ? null : `${host}/${name}@${digest}`;
  const canName = tag !== null && (platform === null || PLAIN_PLATFORM.test(platform));
  const image = canName ? `${host}/${name}:${tag}` : pinned;
  if (image === null) return [];
  const chosen = canName ? platform : null;
  const option = chosen === null ? '' : `--platform ${chosen} `;
  const plain = (text: string): string => (isPlain ? `${text} ` : '');
  const target = `oci:${name.slice(name.lastIndexOf('/') + 1)}:${tag ?? 'latest'}`;
  const skopeo: PullCommand = {
    client: 'skopeo',
    command: `skopeo ${overrides(chosen)}copy ${plain('--src-tls-verify=false')}docker://${image} ${target}`,
  };
  if (isArtifact) return [{ client: 'oras', command: `oras pull ${plain('--plain-http')}${image}` }, skopeo];
  const commands: PullCommand[] = [
    // Docker uses plain HTTP for registries on this machine by default; other clients need an option.
    { client: 'docker', command: `docker pull ${option}${image}` },
    { client: 'podman', command: `podman pull ${option}${plain('--tls-verify=false')}${image}` },
    skopeo,
  ];
  if (canName) {
    const query = chosen === null ? '' : `?platform=${chosen}`;
    const url = `${isPlain ? 'http' : 'https'}://${host}${archivePath(name, tag)}${query}`;
    commands.push({ client: 'a file', command: `curl -fsS ${query === '' ? url : `'${url}'`} | docker load` });
    if (pinned !== null) commands.push({ client: 'by digest', command: `docker pull ${pinned}` });
  }
  return commands;
}

/** skopeo's options for another platform than its own. */
function overrides(platform: string | null): string {
  if (platform === null) return '';
  const [os = '', architecture = '', variant] = platform.split('/');
  return `--override-os ${os} --override-arch ${architecture} ${variant === undefined ? '' : `--override-variant ${variant} `}`;
}
