/** Which tags the rules make immutable, and which changes move them. */
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../src/registry/digest.ts';
import {
  ImmutableTagError,
  type ImmutableRules,
  isMove,
  parseImmutableRules,
  protectionOf,
  refuseMove,
  withRules,
} from '../../../src/bucket/settings/immutable-tags.ts';
import {
  isRepositoryPattern,
  isTagPattern,
  matchesRepository,
  matchesWildcards,
} from '../../../src/registry/values/name-pattern.ts';
import { digestOf, nameOf, tagOf } from '../../publisher/gc-bucket.ts';

const [A, B, C] = ['a', 'b', 'c'].map((text) => digestOf(new TextEncoder().encode(text))) as [Digest, Digest, Digest];

describe('a pattern', () => {
  it.each([
    ['v*', 'v1.2', true],
    ['v*', 'v', true],
    ['v*', 'rev1', false],
    ['*', 'latest', true],
    ['latest', 'latest', true],
    ['latest', 'latest2', false],
    ['*-stable', '1.2-stable', true],
    ['*-stable', '1-stable-1', false],
    ['v*-rc*', 'v1-rc2', true],
    ['v*-rc*', 'v1-rc', true],
    ['v*-rc*', 'v-r', false],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'acb', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['v1.0', 'v1x0', false],
    ['V*', 'v1', false],
  ])('of tags, %s, and %s: %s', (pattern, tag, matches) => {
    expect(matchesWildcards(pattern, tagOf(tag))).toBe(matches);
  });

  it.each([
    ['*', 'team/app', true],
    ['team/*', 'team/app', true],
    ['team/*', 'team/app/sub', true],
    ['team/*', 'team', false],
    ['team/*', 'teams/app', false],
    ['team/app', 'team/app', true],
    ['team/app', 'team/app2', false],
  ])('of repositories, %s, and %s: %s', (pattern, name, matches) => {
    expect(matchesRepository(pattern, nameOf(name))).toBe(matches);
  });

  it('of many stars is decided in no time', () => {
    expect(matchesWildcards(`${'a*'.repeat(60)}b`, tagOf('a'.repeat(127)))).toBe(false);
  });

  it('has only characters of tags or names, and the star', () => {
    expect(['v*', '*', 'latest', 'V1.2_3-x'].map(isTagPattern)).toEqual([true, true, true, true]);
    expect(['', '[0-9]', '{a,b}', 'v?', '!v*', 'a/b', 'a b', 'v'.repeat(129)].filter(isTagPattern)).toEqual([]);
    expect(['*', 'a', 'a/*', 'a/b/*'].map(isRepositoryPattern)).toEqual([true, true, true, true]);
    expect(['', 'A/*', '*/a', 'a*', 'a/**', '/*'].filter(isRepositoryPattern)).toEqual([]);
  });
});

const RULES: ImmutableRules = [
  { tags: 'v*', repository: 'team/*', allowForce: false },
  { tags: '*-rc*', repository: '*', allowForce: true },
];

describe('the rule that protects a tag', () => {
  it.each([
    ['team/app', 'v1', { rule: RULES[0], allowForce: false }],
    ['team/app', '1-rc1', { rule: RULES[1], allowForce: true }],
    // Where one of two rules allows no --force, none is allowed.
    ['team/app', 'v1-rc1', { rule: RULES[0], allowForce: false }],
    ['team/app', 'latest', null],
    ['other/app', 'v1', null],
  ])('of %s:%s', (name, tag, protection) => {
    expect(protectionOf(RULES, nameOf(name), tagOf(tag))).toEqual(protection);
  });

  it.each(['', '.sig', '.att', '.sbom'])('is none where the tag is named by a digest, with %j', (suffix) => {
    const tag = tagOf(`sha256-${'0'.repeat(64)}${suffix}`);
    expect(protectionOf([{ tags: '*', repository: '*', allowForce: false }], nameOf('a'), tag)).toBeNull();
  });
});

describe('a change of a tag', () => {
  it.each([
    ['from nothing', [], [A], false],
    ['from nothing to nothing', [], [], false],
    ['to the same', [A], [A], false],
    ['to the same two in another order', [A, B], [B, A], false],
    ['to another', [A], [B], true],
    ['that adds a form', [A], [A, B], true],
    ['that drops a form', [A, B], [A], true],
    ['that replaces one of two', [A, B], [A, C], true],
    ['to nothing', [A], [], true],
  ])('%s', (_title, before, after, moves) => {
    expect(isMove({ before, after })).toBe(moves);
  });

  it.each([
    ['latest', false, false],
    ['v1', false, true],
    ['v1', true, true],
    ['1-rc1', false, true],
    ['1-rc1', true, false],
  ])('of %s, with force: %s, is refused: %s', (tag, force, refused) => {
    const change = (): void =>
      refuseMove(RULES, { name: nameOf('team/app'), tag: tagOf(tag), force }, { before: [A], after: [B] });
    if (refused) expect(change).toThrow(ImmutableTagError);
    else expect(change).not.toThrow();
  });

  it('is refused with what happened, why, and what to do', () => {
    const refused = (tag: string, after: readonly Digest[]): unknown => {
      try {
        refuseMove(RULES, { name: nameOf('team/app'), tag: tagOf(tag) }, { before: [A], after });
      } catch (error) {
        return error;
      }
      return undefined;
    };
    expect(refused('v1', [B])).toMatchObject({
      message: `team/app:v1 is immutable by the rule v* of team/*, and points to ${A}, so it cannot be moved to ${B}`,
      hint:
        'Publish under another tag. To move it all the same, remove the rule first: ' +
        "gantry config unset immutable 'v*' --repository 'team/*'",
    });
    expect(refused('1-rc1', [])).toMatchObject({
      message: 'team/app:1-rc1 is immutable by the rule *-rc*, and cannot be deleted',
      hint: 'To delete it all the same, which the rule allows: gantry rm --force',
    });
  });
});

describe('rules', () => {
  it('replace those of the same patterns', () => {
    const forced = { tags: 'v*', repository: 'team/*', allowForce: true };
    expect(withRules(RULES, [forced])).toEqual([RULES[1], forced]);
    expect(withRules([], [...RULES])).toEqual(RULES);
  });

  it('are read strictly', () => {
    expect(parseImmutableRules(RULES)).toEqual(RULES);
    for (const wrong of [
      {},
      [null],
      [{ tags: 'v*', repository: '*' }],
      [{ tags: '[v]', repository: '*', allowForce: false }],
      [{ tags: 'v*', repository: 'A', allowForce: false }],
      [{ tags: 'v*', repository: '*', allowForce: false, until: '2027' }],
    ])
      expect(parseImmutableRules(wrong)).toBeNull();
  });
});
