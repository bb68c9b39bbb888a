/** The settings of a sync: which tags, in which forms, and what is deleted. */
import picomatch from 'picomatch';
import semver from 'semver';
import { isScalar, isSeq } from 'yaml';
import { formatPlatform, parsePlatform, type Platform } from '../../registry/platform.ts';
import { parseDuration } from '../cli/duration.ts';
import type { Recompress } from '../publish/layers.ts';
import type { RetentionRule } from '../retention/rule.ts';
import { ALL_TAGS, type TagFilter } from './select.ts';
import { booleanOf, fail, membersOf, oneOf, textOf, textsOf, type Value, type Where } from './yaml-values.ts';

/**
 * Which tags of the bucket are deleted: `none`; `missing`: those that the source does not have any more; `unselected`:
 * those that are not selected any more as well.
 */
export type Prune = 'none' | 'missing' | 'unselected';

/** How the tags of a repository are synced. */
export interface SyncSettings {
  readonly tags: TagFilter;
  readonly platforms: readonly Platform[];
  readonly recompress: Recompress | undefined;
  readonly referrers: boolean;
  /** Whether to request a schema 1 of a moved tag as well. */
  readonly schema1: boolean;
  readonly prune: Prune;
  /** What is deleted of the tags that are not synced any more; undefined: nothing. */
  readonly retention?: RetentionRule | undefined;
  readonly mode: 'strict' | 'compat';
  /** The key or policy by which every tag must be signed, relative to the working directory; undefined for none. */
  readonly verifySignature: string | undefined;
}

/** The default settings. */
export const DEFAULTS: SyncSettings = {
  tags: ALL_TAGS,
  platforms: [],
  recompress: undefined,
  referrers: true,
  schema1: true,
  prune: 'none',
  mode: 'strict',
  verifySignature: undefined,
};

/** The members that are settings. */
export const SETTINGS = [
  'tags',
  'platforms',
  'recompress',
  'referrers',
  'schema1',
  'prune',
  'retention',
  'compat',
  'verify-signature',
] as const;

/** Reads settings from members of an entry or of `defaults`; `base`: those that are not there. */
export function readSettings(members: ReadonlyMap<string, Value>, where: Where, base: SyncSettings): SyncSettings {
  const read = <T>(name: (typeof SETTINGS)[number], from: (value: Value) => T, otherwise: T): T => {
    const value = members.get(name);
    return value === undefined ? otherwise : from(value);
  };
  return {
    tags: read('tags', (value) => readTagFilter(value, where), base.tags),
    platforms: read(
      'platforms',
      (value) => textsOf(value, where).map((one) => readPlatform(one, where)),
      base.platforms,
    ),
    recompress: read('recompress', (value) => readRecompress(value, where), base.recompress),
    referrers: read('referrers', (value) => booleanOf(value, where), base.referrers),
    schema1: read('schema1', (value) => booleanOf(value, where), base.schema1),
    prune: read('prune', (value) => oneOf(value, where, ['none', 'missing', 'unselected']), base.prune),
    retention: read('retention', (value) => readRetention(value, where), base.retention),
    mode: read('compat', (value) => (booleanOf(value, where) ? 'compat' : 'strict'), base.mode),
    verifySignature: read('verify-signature', (value) => pathOf(value, where), base.verifySignature),
  };
}

function pathOf(value: Value, where: Where): string {
  const path = isScalar(value.node) ? value.node.value : undefined;
  if (typeof path !== 'string' || path === '') throw fail(value, where, 'must be the path of a key or a policy');
  return path;
}

function readRecompress(value: Value, where: Where): Recompress | undefined {
  const found = isScalar(value.node) ? value.node.value : undefined;
  if (typeof found === 'boolean') return found ? 'zstd' : undefined;
  return oneOf<Recompress>(value, where, ['zstd', 'all']);
}

function readPlatform(value: Value, where: Where): Platform {
  const text = textOf(value, where);
  const platform = parsePlatform(text);
  if (platform === null || formatPlatform(platform) !== text)
    throw fail(value, where, `"${text}" is not a valid platform`, 'Write linux/arm64 or linux/arm/v7.');
  return platform;
}

/** A list of globs, or an object of conditions that must all hold. */
function readTagFilter(value: Value, where: Where): TagFilter {
  if (isSeq(value.node) || isScalar(value.node)) return { ...ALL_TAGS, glob: readGlobs(value, where) };
  const members = membersOf(value.node, where, value.title, ['glob', 'regex', 'semver', 'newest']);
  const [glob, regex, range, newest] = ['glob', 'regex', 'semver', 'newest'].map((name) => members.get(name));
  return {
    glob: glob === undefined ? [] : readGlobs(glob, where),
    regex: regex === undefined ? undefined : readRegex(regex, where),
    semver: range === undefined ? undefined : readRange(range, where),
    newest: newest === undefined ? undefined : readCount(newest, where),
  };
}

/** One glob or a list of globs. */
export function readGlobs(value: Value, where: Where): readonly string[] {
  return textsOf(value, where).map((one) => {
    const text = textOf(one, where);
    try {
      picomatch(text);
    } catch (cause) {
      throw fail(one, where, `"${text}" is not a valid glob: ${cause instanceof Error ? cause.message : ''}`);
    }
    return text;
  });
}

/** A rule with at least one condition, or `none`. */
function readRetention(value: Value, where: Where): RetentionRule | undefined {
  if (isScalar(value.node) && value.node.value === 'none') return undefined;
  const members = membersOf(value.node, where, value.title, ['tags', 'keep', 'older-than']);
  const [tags, keep, age] = ['tags', 'keep', 'older-than'].map((name) => members.get(name));
  if (keep === undefined && age === undefined)
    throw fail(value, where, 'has no condition', 'Write keep: 10, older-than: 90d, or both.');
  return {
    tags: tags === undefined ? [] : readGlobs(tags, where),
    keep: keep === undefined ? undefined : readCount(keep, where),
    olderThan: age === undefined ? undefined : readAge(age, where),
  };
}

function readAge(value: Value, where: Where): number {
  const age = parseDuration(textOf(value, where));
  if (age === null || age === 0) throw fail(value, where, 'is not a duration', 'Write 36h, 90d or 12w.');
  return age;
}

function readRegex(value: Value, where: Where): RegExp {
  const text = textOf(value, where);
  try {
    return new RegExp(text, 'u');
  } catch (cause) {
    throw fail(value, where, `is not a valid regular expression: ${cause instanceof Error ? cause.message : ''}`);
  }
}

function readRange(value: Value, where: Where): semver.Range {
  const text = textOf(value, where);
  try {
    return new semver.Range(text);
  } catch {
    throw fail(value, where, `"${text}" is not a valid range of versions`, 'Write e.g. ">=1.30 <2", or "^1.36".');
  }
}

function readCount(value: Value, where: Where): number {
  const count = isScalar(value.node) ? value.node.value : undefined;
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 1)
    throw fail(value, where, 'must be a whole number from 1');
  return count;
}
