/** Members of image configs, read leniently: the config's other readers report what is wrong with it. */
import type { Platform } from '../registry/platform.ts';
import { type JsonObject, objectOf, parseJson, textOf } from '../registry/values/json.ts';

/** The members of an image config; none if it cannot be parsed. */
export function membersOfConfig(config: Uint8Array | undefined): JsonObject {
  return config === undefined ? {} : objectOf(parseJson(config));
}

/** The platform that a config or a descriptor names; null if it names none. */
export function platformOfMembers(members: JsonObject): Platform | null {
  const [os, architecture, variant] = [members.os, members.architecture, members.variant].map(textOf);
  if (typeof os !== 'string' || typeof architecture !== 'string') return null;
  return { os, architecture, ...(typeof variant === 'string' && { variant }) };
}
