import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../../src/http/challenge.ts';

const read = (header: string) =>
  parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);

describe('WWW-Authenticate (RFC 9110, 11.6.1)', () => {
  it.each([
    [
      'Docker Hub',
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull,push"',
      [
        [
          'Bearer',
          {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:library/busybox:pull,push',
          },
        ],
      ],
    ],
    [
      'spaces between parameters',
      'Bearer realm="a", service="b" , scope=c',
      [['Bearer', { realm: 'a', service: 'b', scope: 'c' }]],
    ],
    ['Basic', 'Basic realm="Registry Realm"', [['Basic', { realm: 'Registry Realm' }]]],
    ['a scheme alone', 'Negotiate', [['Negotiate', {}]]],
    ['a scheme with a token', 'Negotiate YWJj==', [['Negotiate', {}]]],
    [
      'two in one header',
      'Basic realm="x", Bearer realm="y",service="z"',
      [
        ['Basic', { realm: 'x' }],
        ['Bearer', { realm: 'y', service: 'z' }],
      ],
    ],
    [
      'a token before another scheme',
      'Negotiate YWJj, Bearer realm="y"',
      [
        ['Negotiate', {}],
        ['Bearer', { realm: 'y' }],
      ],
    ],
    [
      'a scheme alone before another',
      'Negotiate, Basic realm="x"',
      [
        ['Negotiate', {}],
        ['Basic', { realm: 'x' }],
      ],
    ],
    ['names of parameters in other case', 'bearer REALM="y"', [['bearer', { realm: 'y' }]]],
    ['escapes', 'Basic realm="a\\"b\\\\c"', [['Basic', { realm: 'a"b\\c' }]]],
    ['a repeated parameter: the first', 'Basic realm="a",realm="b"', [['Basic', { realm: 'a' }]]],
    ['an empty value', 'Bearer realm=""', [['Bearer', { realm: '' }]]],
    ['empty elements', ', ,Basic realm="a",, charset="UTF-8",', [['Basic', { realm: 'a', charset: 'UTF-8' }]]],
    ['nothing', '', []],
    ['what cannot be read ends the reading', 'Basic realm="a", "b"', [['Basic', { realm: 'a' }]]],
    ['a value that is not closed is not taken', 'Basic realm="a', [['Basic', {}]]],
  ])('%s: %s', (_, header, expected) => {
    expect(read(header)).toEqual(expected);
  });

  it('reads any text without fail', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('Bearer', 'realm', '=', '"', ',', ' ', '\\', 'x', '/', '.'),
          maxLength: 200,
        }),
        (header) => {
          for (const { scheme } of parseChallenges(header)) expect(scheme.length).toBeGreaterThan(0);
        },
      ),
    );
  });
});
