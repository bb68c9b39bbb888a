/** The message for an engine that gets schema 1 alone, where the tag has no image for its platform. */
import { DEFAULT_PLATFORM, formatPlatform, type Platform } from '../../registry/platform.ts';
import type { TagRecord } from '../../registry/records.ts';
import { platformOf } from '../../manifest/negotiate.ts';

/** The platform of an engine: that of its User-Agent, or the default. */
export function engineOf(userAgent: string | null): Platform {
  return platformOf(userAgent) ?? DEFAULT_PLATFORM;
}

/** One sentence with the engine's platform, and one with those that there are. */
export function noPlatformMessage(engine: Platform, available: readonly string[]): string {
  const missing = `The tag has no image for ${formatPlatform(engine)}, the platform of this Docker engine.`;
  return available.length === 0 ? missing : `${missing} It has images for ${available.join(', ')}.`;
}

/** The platforms that a tag has images for: those with a schema 1, or all if there are none. */
export function platformsOf({ forms }: TagRecord): readonly string[] {
  const some = forms.filter(({ form, platform }) => form === 'docker-schema1' && platform !== undefined);
  const shown = some.length > 0 ? some : forms;
  return [...new Set(shown.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)])))];
}
