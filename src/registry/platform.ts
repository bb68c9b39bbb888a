/** The platform of an image, as in image indexes and manifest lists (OCI image spec, image-index.md). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

/** The platform for clients that name none; docker-registry and old engines assume it, too. */
export const DEFAULT_PLATFORM: Platform = { os: 'linux', architecture: 'amd64' };

/** Whether a platform is {@link DEFAULT_PLATFORM}, in whatever variant and version. */
export function isDefaultPlatform(platform: Platform | undefined): boolean {
  return platform?.os === DEFAULT_PLATFORM.os && platform.architecture === DEFAULT_PLATFORM.architecture;
}

/** Formats a platform as `os/architecture[/variant][:os.version]`. Equal platforms give equal text. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant, 'os.version': version } = platform;
  const suffix = version === undefined ? '' : `:${version}`;
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}${suffix}`;
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
