/** What an image runs on, as image indexes and manifest lists write it (OCI image spec, image-index.md). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

/** Whose image a client gets that names no platform: what docker-registry and old engines assume. */
export const DEFAULT_PLATFORM: Platform = { os: 'linux', architecture: 'amd64' };

/** A platform as `os/architecture[/variant][:os.version]`; equal platforms give equal text. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant, 'os.version': version } = platform;
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}${version === undefined ? '' : `:${version}`}`;
}

/** Reads `os/architecture[/variant][:os.version]`; null if it is not that. */
export function parsePlatform(text: string): Platform | null {
  const match = /^([^/:]+)\/([^/:]+)(?:\/([^/:]+))?(?::(.+))?$/.exec(text);
  if (match === null) return null;
  const [, os, architecture, variant, version] = match;
  if (os === undefined || architecture === undefined) return null;
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { 'os.version': version }),
  };
}
