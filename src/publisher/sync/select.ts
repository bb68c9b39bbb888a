/** Selects the tags of a repository. Pure. */
import picomatch from 'picomatch';
import semver from 'semver';
import type { Tag } from '../../registry/name.ts';
import { isCompanionTag } from '../../bucket/image-source.ts';

/** The conditions for a tag: all must hold, and `newest` limits the rest. Without conditions, every tag. */
export interface TagFilter {
  /** Globs: the tag matches at least one of those without `!` (if there are any), and none of those with `!`. */
  readonly glob: readonly string[];
  /** Matches anywhere in the tag, unless it is anchored. */
  readonly regex: RegExp | undefined;
  /** A range in npm's syntax; tags that are not versions do not match. */
  readonly semver: semver.Range | undefined;
  /**
   * The number of tags at most, the highest versions first. Tags that are not versions come after those, in reverse
   * natural order.
   */
  readonly newest: number | undefined;
}

/** Every tag. */
export const ALL_TAGS: TagFilter = { glob: [], regex: undefined, semver: undefined, newest: undefined };

/**
 * Selects tags, in their order. Tags that belong to an image by its digest (cosign's) are never selected: they are
 * published with the image.
 */
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

/** Whether a text is a glob. */
export function isGlob(text: string): boolean {
  try {
    picomatch(text);
    return text !== '' && text !== '!';
  } catch {
    return false;
  }
}

/** Whether a text matches globs: at least one of those without `!` (if there are any), and none of those with `!`. */
export function globFilter(globs: readonly string[]): (text: string) => boolean {
  const isNegative = (glob: string): boolean => glob.startsWith('!');
  const wanted = globs.filter((glob) => !isNegative(glob)).map((glob) => picomatch(glob, OPTIONS));
  const unwanted = globs.filter(isNegative).map((glob) => picomatch(glob.slice(1), OPTIONS));
  return (text) => (wanted.length === 0 || wanted.some((fits) => fits(text))) && !unwanted.some((fits) => fits(text));
}

// Valid tags do not begin with a dot, but `*` must match any other text.
const OPTIONS: picomatch.PicomatchOptions = { dot: true, nonegate: true };

/**
 * A tag as a version; a leading `v` and missing numbers are accepted (`v1.36` is 1.36.0). Null if it is not a version.
 */
function versionOf(tag: string): semver.SemVer | null {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-._+](.+))?$/.exec(tag);
  if (match === null) return null;
  const [, major = '0', minor = '0', patch = '0', rest] = match;
  // A suffix (`-rc.1`, `-alpine`) is a pre-release: ranges exclude it unless they name one.
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
