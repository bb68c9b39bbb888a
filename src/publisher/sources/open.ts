/** The table of sources: transport → reader. Each is loaded when it is used. */
import { usageError } from '../cli/errors.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
import type { SourceOptions } from './source.ts';

/** Opens the part after `transport:`. Throws {@link CommandError}. */
export type SourceOpener = (where: string, options: SourceOptions) => Promise<ImageSource>;

interface Transport {
  /** The syntax, for messages and help. */
  readonly syntax: string;
  readonly title: string;
  readonly load: () => Promise<SourceOpener>;
}

/** Transport → syntax and reader. Names and syntax are skopeo's, except `pulp2`, `http` and `https`. */
export const SOURCES: Readonly<Record<string, Transport>> = {
  dir: {
    syntax: 'dir:FOLDER',
    title: 'the output of `skopeo copy … dir:FOLDER`',
    load: async () => (await import('./dir.ts')).openDir,
  },
  docker: {
    syntax: 'docker://[HOST/]NAME[:TAG]',
    title: 'an image of another registry',
    load: async () => (await import('./registry/repository.ts')).openRegistryImage,
  },
  'docker-archive': {
    syntax: 'docker-archive:FILE[:NAME:TAG]',
    title: 'the output of `docker save`; FILE is - for standard input',
    load: async () => (await import('./docker-archive.ts')).openDockerArchive,
  },
  'oci-archive': {
    syntax: 'oci-archive:FILE[:REF]',
    title: 'an OCI image layout in a tar file; FILE is - for standard input',
    load: async () => (await import('./oci-archive.ts')).openOciArchive,
  },
  'docker-daemon': {
    syntax: 'docker-daemon:NAME[:TAG]',
    title: 'an image of the Docker engine',
    load: async () => (await import('./engines/docker-daemon.ts')).openDaemonImage,
  },
  'containers-storage': {
    syntax: 'containers-storage:NAME[:TAG]',
    title: 'an image of Podman or Buildah',
    load: async () => (await import('./engines/containers-storage.ts')).openStorageImage,
  },
  https: {
    syntax: 'https://HOST/FILE.tar[#NAME:TAG]',
    title: 'an archive to download: of `docker save`, or an OCI layout',
    load: async () => {
      const { openDownload } = await import('./download.ts');
      return (where, options) => openDownload('https', where, options);
    },
  },
  http: {
    syntax: 'http://HOST/FILE.tar[#NAME:TAG]',
    title: 'the same without TLS',
    load: async () => {
      const { openDownload } = await import('./download.ts');
      return (where, options) => openDownload('http', where, options);
    },
  },
  pulp2: {
    syntax: 'pulp2:FOLDER[:TAG]',
    title: 'a repository published by Pulp 2: its folder below v2/web, or its app file',
    load: async () => (await import('./pulp2.ts')).openPulpTag,
  },
  oci: {
    syntax: 'oci:FOLDER[:REF]',
    title: 'an OCI image layout',
    load: async () => (await import('./oci-layout.ts')).openOciLayout,
  },
};

/** Opens a source: `transport:where`. Throws {@link CommandError}. */
export async function openSource(text: string, options: SourceOptions): Promise<ImageSource> {
  const colon = text.indexOf(':');
  const transport = colon < 0 ? undefined : SOURCES[text.slice(0, colon)];
  if (transport === undefined || !Object.hasOwn(SOURCES, text.slice(0, colon))) {
    const known = Object.values(SOURCES).map(({ syntax }) => syntax);
    throw usageError(
      `"${text}" is not a valid source`,
      `Write ${known.slice(0, -1).join(', ')} or ${known.at(-1) ?? ''}.${colon < 0 ? ` Perhaps dir:${text}?` : ''}`,
    );
  }
  const where = text.slice(colon + 1);
  if (where === '') throw usageError(`"${text}" has nothing after the colon`, `Write ${transport.syntax}.`);
  return (await transport.load())(where, options);
}
