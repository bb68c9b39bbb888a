import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRepositoryName, type RepositoryName } from '../../src/registry/name.ts';
import { parseRealmTable, PUBLIC_REALM, realmOf, RealmTableError } from '../../src/registry/realms.ts';
import { repositoryName } from './arbitraries.ts';
import { titleOf } from '../attacks.ts';

const nameOf = (text: string): RepositoryName => {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(text);
  return name;
};

const TABLE = parseRealmTable([
  { pattern: 'team-a/open', realm: 'public' },
  { pattern: 'team-a/*', realm: 'team-a' },
  { pattern: 'secret', realm: 'vault' },
]);

describe('the realm of a repository', () => {
  it.each([
    ['team-a/app', 'team-a'],
    ['team-a/deep/er', 'team-a'],
    ['team-a/open', 'public'],
    ['team-a/open/er', 'team-a'],
    // A prefix takes what is below it, not what begins alike, and not itself.
    ['team-a', 'public'],
    ['team-a-2/app', 'public'],
    ['secret', 'vault'],
    ['secret/more', 'public'],
    ['secrets', 'public'],
    ['library/busybox', 'public'],
  ])('%s is %s: the first rule that matches, else the public one', (name, realm) => {
    expect(realmOf(TABLE, nameOf(name))).toBe(realm);
  });

  it('of every repository is that of "*", where nothing before it matches', () => {
    const table = parseRealmTable('[{"pattern":"open/*","realm":"public"},{"pattern":"*","realm":"all"}]');
    fc.assert(
      fc.property(repositoryName, (name) => {
        expect(realmOf(table, name)).toBe(name.startsWith('open/') ? 'public' : 'all');
      }),
    );
  });

  it('without a table is public', () => {
    for (const table of [undefined, '', [], '[]'])
      expect(realmOf(parseRealmTable(table), nameOf('a'))).toBe(PUBLIC_REALM);
  });
});

describe('a realm table that is not understood whole is refused, with where and what', () => {
  it.each([
    ['text that is no JSON', 'team-a', /not JSON/],
    [
      titleOf('rule-shadowed'),
      [
        { pattern: '*', realm: 'public' },
        { pattern: 'team-a/*', realm: 'team-a' },
      ],
      /REALMS\[1\] \("team-a\/\*"\) never applies: "\*"/,
    ],
    [
      'a rule twice',
      [
        { pattern: 'a/*', realm: 'b' },
        { pattern: 'a/*', realm: 'c' },
      ],
      /never applies/,
    ],
    ['an object', { pattern: 'a', realm: 'b' }, /must be an array/],
    ['null', null, /must be an array/],
    ['a rule that is none', ['a'], /REALMS\[0\] must be an object/],
    ['a member too many', [{ pattern: 'a', realm: 'b', readers: [] }], /REALMS\[0\] has the unknown member "readers"/],
    ['no pattern', [{ realm: 'b' }], /REALMS\[0\]\.pattern/],
    ['a pattern in capitals', [{ pattern: 'A/*', realm: 'b' }], /pattern/],
    ['a star in the middle', [{ pattern: 'a/*/b', realm: 'b' }], /pattern/],
    ['a star that ends no component', [{ pattern: 'a*', realm: 'b' }], /pattern/],
    ['no realm', [{ pattern: 'a' }], /REALMS\[0\]\.realm/],
    ['a realm with a slash: it would stand in a key', [{ pattern: 'a', realm: 'b/c' }], /realm/],
    ['a realm too long', [{ pattern: 'a', realm: 'x'.repeat(65) }], /realm/],
    [
      'the second rule',
      [
        { pattern: 'a', realm: 'b' },
        { pattern: 'a', realm: '' },
      ],
      /REALMS\[1\]\.realm/,
    ],
  ])('%s', (_, value, message) => {
    expect(() => parseRealmTable(value)).toThrow(RealmTableError);
    expect(() => parseRealmTable(value)).toThrow(message);
  });
});
