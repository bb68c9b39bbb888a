/** Which tags of a repository are wanted: decisions, pure. */
import picomatch from 'picomatch';
import semver from 'semver';
import type { Tag } from '../../registry/name.ts';
import { isCompanionTag } from '../../bucket/image-source.ts';

/** What a tag must be to be taken: all that is said must hold, and `newest` chooses among what is left. Nothing said: every tag. */
export interface TagFilter {
  /** At least one of these globs, if there is one without `!`; and none of those with `!`. */
  readonly glob: readonly string[];
  /** Found anywhere in the tag, unless it is anchored. */
  readonly regex: RegExp | undefined;
  /** A range as npm writes it; tags that are no versions do not hold. */
  readonly semver: semver.Range | undefined;
  /** At most so many, the highest versions first; what is no version comes after those, in reverse alphabetical order that knows numbers. */
  readonly newest: number | undefined;
}

/** Every tag. */
export const ALL_TAGS: TagFilter = { glob: [], regex: undefined, semver: undefined, newest: undefined };

/** Chooses. Tags that belong to an image by its digest (cosign's) are never chosen: they come along with the image. Keeps the order of `tags`. */
export function selectTags(tags: readonly Tag[], filter: TagFilter): readonly Tag[] {
  const { regex, semver: range, newest } = filter;
  const isGlobbed = globFilter(filter.glob);
  const wanted = tags.filter((tag) => {
    if (isCompanionTag(tag) || !isGlobbed(tag) || regex?.test(tag) === false) return false;
    const version = range === undefined ? null : versionOf(tag);
    return range === undefined || (version !== null && range.test(version));
  });
  if (newest === undefined || wanted.length <= newest) return wanted;
  const chosen = new Set([...wanted].sort(newestFirst).slice(0, newest));
  return wanted.filter((tag) => chosen.has(tag));
}

/** Whether a text fits globs: at least one of those without `!`, if there is any, and none of those with `!`. */
export function globFilter(globs: readonly string[]): (text: string) => boolean {
  const isNegative = (glob: string): boolean => glob.startsWith('!');
  const wanted = globs.filter((glob) => !isNegative(glob)).map((glob) => picomatch(glob, OPTIONS));
  const unwanted = globs.filter(isNegative).map((glob) => picomatch(glob.slice(1), OPTIONS));
  return (text) => (wanted.length === 0 || wanted.some((fits) => fits(text))) && !unwanted.some((fits) => fits(text));
}

// A tag that begins with a dot is none, but `*` must take whatever else there is.
const OPTIONS: picomatch.PicomatchOptions = { dot: true, nonegate: true };

/** A tag as a version: `v` before it and missing numbers are no matter (`v1.36` is 1.36.0); null if it is none. */
function versionOf(tag: string): semver.SemVer | null {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-._+](.+))?$/.exec(tag);
  if (match === null) return null;
  const [, major = '0', minor = '0', patch = '0', rest] = match;
  // A suffix (`-rc.1`, `-alpine`) counts as a pre-release: ranges leave it out unless they name one.
  const suffix = rest === undefined ? '' : `-${rest.replace(/_/g, '-')}`;
  return semver.parse(`${major}.${minor}.${patch}${suffix}`, { loose: true });
}

const NATURAL = new Intl.Collator('en', { numeric: true });

function newestFirst(a: Tag, b: Tag): number {
  const [versionA, versionB] = [versionOf(a), versionOf(b)];
  if (versionA !== null && versionB !== null) {
    const order = semver.rcompare(versionA, versionB);
    if (order !== 0) return order;
  } else if (versionA !== null || versionB !== null) {
    return versionA === null ? 1 : -1;
  }
  return NATURAL.compare(b, a);
}
