/**
 * The mark on a tag object that was fetched from another registry. The Worker moves only tags with this mark when the
 * upstream moves them. A published tag has no mark, so publishing a tag takes precedence from then on.
 *
 * The mark is JSON in the custom metadata {@link ORIGIN_METADATA}:
 * `{"o":"<rule>","d":"<digest>","c":<checked>,"g":<gone>,"u":<unknown>,"e":<expires>}`, with times in seconds since
 * 1970.
 */
import { type Digest, parseDigest } from './digest.ts';
import { objectOf, parseJson } from './values/json.ts';

/** Name of the custom metadata with the mark. */
export const ORIGIN_METADATA = 'gantry-origin';

/** The state of the upstream's tag. */
export interface OriginMark {
  /** Name of the origin rule. */
  readonly origin: string;
  /** The digest that the upstream reported for the tag. */
  readonly digest: Digest;
  /** When the upstream last confirmed the digest, in milliseconds since 1970. */
  readonly checked: number;
  /** When the upstream was first seen without the tag, in milliseconds since 1970; null while it has the tag. */
  readonly gone: number | null;
  /** How many forms the upstream may have that could not be fetched; absent if the tag was fetched completely. */
  readonly unknown?: number;
  /**
   * When garbage collection may remove the tag, in milliseconds since 1970. Pulls move it on, by a write a day at most.
   * Absent: never.
   */
  readonly expires?: number;
}

/** Whether an object was fetched from an upstream, and follows it. */
export function isFetched(metadata: Readonly<Record<string, string>>): boolean {
  return decodeOriginMark(metadata) !== null;
}

/** Encodes a mark as metadata. */
export function encodeOriginMark({
  origin,
  digest,
  checked,
  gone,
  unknown,
  expires,
}: OriginMark): Record<string, string> {
  const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);
  return {
    [ORIGIN_METADATA]: JSON.stringify({
      o: origin,
      d: digest,
      c: seconds(checked),
      ...(gone === null ? {} : { g: seconds(gone) }),
      ...(unknown === undefined || unknown === 0 ? {} : { u: unknown }),
      ...(expires === undefined ? {} : { e: seconds(expires) }),
    }),
  };
}

/**
 * Reads the mark from a tag object's metadata; null if there is none. An invalid mark counts as none, so that nothing
 * overwrites the tag.
 */
export function decodeOriginMark(metadata: Readonly<Record<string, string>>): OriginMark | null {
  const text = metadata[ORIGIN_METADATA];
  if (text === undefined) return null;
  const { o, d, c, g, u, e } = objectOf(parseJson(text));
  const digest = typeof d === 'string' ? parseDigest(d) : null;
  if (typeof o !== 'string' || digest === null || typeof c !== 'number' || (g !== undefined && typeof g !== 'number'))
    return null;
  return {
    origin: o,
    digest,
    checked: c * 1000,
    gone: g === undefined ? null : g * 1000,
    ...(typeof u === 'number' && u > 0 && { unknown: u }),
    ...(typeof e === 'number' && { expires: e * 1000 }),
  };
}
