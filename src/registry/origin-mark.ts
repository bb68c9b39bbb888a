/**
 * The mark on a tag object that was not published but fetched from another registry: the Worker may move such a tag when the upstream does, and no other. Whoever
 * publishes the tag writes the object without the mark, so what was published wins from then on.
 *
 * JSON in the custom metadata {@link ORIGIN_METADATA}: `{"o":"<rule>","d":"<digest>","c":<checked>,"g":<gone>}`, times in seconds since 1970.
 */
import { type Digest, parseDigest } from './digest.ts';

/** Name of the custom metadata that carries the mark. */
export const ORIGIN_METADATA = 'gantry-origin';

/** What is known of the upstream's tag. */
export interface OriginMark {
  /** Name of the origin rule by which it came. */
  readonly origin: string;
  /** What the upstream said that the tag is; compared with what it says later. */
  readonly digest: Digest;
  /** When the upstream last said so, in milliseconds since 1970. */
  readonly checked: number;
  /** When the upstream was first found not to have the tag any more, in milliseconds since 1970; null while it has it. */
  readonly gone: number | null;
}

/** Makes the metadata of a mark. */
export function encodeOriginMark({ origin, digest, checked, gone }: OriginMark): Record<string, string> {
  const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);
  return {
    [ORIGIN_METADATA]: JSON.stringify({
      o: origin,
      d: digest,
      c: seconds(checked),
      ...(gone === null ? {} : { g: seconds(gone) }),
    }),
  };
}

/** Reads the mark from a tag object's metadata; null if there is none. One that cannot be read counts as none: then nothing overwrites the tag. */
export function decodeOriginMark(metadata: Readonly<Record<string, string>>): OriginMark | null {
  const text = metadata[ORIGIN_METADATA];
  if (text === undefined) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { o, d, c, g } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const digest = typeof d === 'string' ? parseDigest(d) : null;
  if (typeof o !== 'string' || digest === null || typeof c !== 'number' || (g !== undefined && typeof g !== 'number'))
    return null;
  return { origin: o, digest, checked: c * 1000, gone: g === undefined ? null : g * 1000 };
}
