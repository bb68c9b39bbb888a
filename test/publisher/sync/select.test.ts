import fc from 'fast-check';
import semver from 'semver';
import { describe, expect, test } from 'vitest';
import { ALL_TAGS, selectTags, type TagFilter } from '../../../src/publisher/sync/select.ts';
import { parseTag, type Tag } from '../../../src/registry/name.ts';

const TAGS = [
  'latest',
  '1.9',
  '1.10',
  '1.10.0-rc.1',
  'v2.0.0',
  'v2.0.0-alpine',
  '2024-01-02',
  'nightly-9',
  'nightly-10',
  `sha256-${'a'.repeat(64)}.sig`,
].map(tag);

describe('tags are chosen', () => {
  test.each<[string, Partial<TagFilter>, readonly string[]]>([
    [
      'all but those that belong to an image',
      {},
      ['latest', '1.9', '1.10', '1.10.0-rc.1', 'v2.0.0', 'v2.0.0-alpine', '2024-01-02', 'nightly-9', 'nightly-10'],
    ],
    ['by glob', { glob: ['1.*'] }, ['1.9', '1.10', '1.10.0-rc.1']],
    ['by any of several globs, and none with !', { glob: ['1.*', 'v*', '!*-*'] }, ['1.9', '1.10', 'v2.0.0']],
    [
      'by globs with ! alone',
      { glob: ['!nightly-*'] },
      ['latest', '1.9', '1.10', '1.10.0-rc.1', 'v2.0.0', 'v2.0.0-alpine', '2024-01-02'],
    ],
    ['by regular expression, found anywhere', { regex: /alpine|rc/u }, ['1.10.0-rc.1', 'v2.0.0-alpine']],
    ['by a range of versions, without suffixes', { semver: new semver.Range('>=1.10 <3') }, ['1.10', 'v2.0.0']],
    [
      'by a range that names a pre-release',
      { semver: new semver.Range('>=1.10.0-rc.0 <1.11') },
      ['1.10', '1.10.0-rc.1'],
    ],
    ['by what is newest, as versions and not as text', { glob: ['1.*'], newest: 1 }, ['1.10']],
    [
      'by what is newest of names that are no versions, knowing numbers',
      { glob: ['nightly-*'], newest: 1 },
      ['nightly-10'],
    ],
    ['versions before names, when the newest are asked for', { glob: ['latest', '1.9'], newest: 1 }, ['1.9']],
    ['by all conditions together', { glob: ['v*'], regex: /^v2/u, newest: 1 }, ['v2.0.0']],
  ])('%s', (_, filter, expected) => {
    expect(selectTags(TAGS, { ...ALL_TAGS, ...filter })).toEqual(expected);
  });

  test('never more than there are, never others, and the same whatever the order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,12}$/)),
        fc.integer({ min: 1, max: 5 }),
        (texts, newest) => {
          const tags = texts.map(tag);
          const chosen = selectTags(tags, { ...ALL_TAGS, newest });
          expect(chosen).toHaveLength(Math.min(newest, tags.length));
          expect(new Set(selectTags([...tags].reverse(), { ...ALL_TAGS, newest }))).toEqual(new Set(chosen));
        },
      ),
    );
  });
});

function tag(text: string): Tag {
  const parsed = parseTag(text);
  if (parsed === null) throw new Error(text);
  return parsed;
}
