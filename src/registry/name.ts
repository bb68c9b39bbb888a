declare const brand: unique symbol;

/** A repository's name, e.g. `library/busybox`; at most 255 characters. Only {@link parseRepositoryName} makes one. */
export type RepositoryName = string & { readonly [brand]: 'RepositoryName' };

/** A tag, e.g. `1.36`; at most 128 characters. Only {@link parseTag} makes one. */
export type Tag = string & { readonly [brand]: 'Tag' };

// OCI distribution spec 1.1, "Pulling manifests": the grammars of <name> and of <reference> as a tag.
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Most characters in a repository's name (distribution's limit, which clients share). */
export const NAME_MAX_LENGTH = 255;

/** Reads a repository's name; null if it is outside the grammar or longer than {@link NAME_MAX_LENGTH}. */
export function parseRepositoryName(text: string): RepositoryName | null {
  return text.length <= NAME_MAX_LENGTH && NAME.test(text) ? (text as RepositoryName) : null;
}

/** Reads a tag; null if it is outside the grammar. */
export function parseTag(text: string): Tag | null {
  return TAG.test(text) ? (text as Tag) : null;
}

/** Compares names or tags as the OCI distribution spec sorts lists ("ASCIIbetical"). Negative, zero or positive. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
