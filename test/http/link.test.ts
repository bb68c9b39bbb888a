import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLinks } from '../../src/http/link.ts';

describe('Link (RFC 8288)', () => {
  it.each([
    [
      'as registries send it',
      '</v2/a/tags/list?n=2&last=b>; rel="next"',
      [{ target: '/v2/a/tags/list?n=2&last=b', rel: 'next' }],
    ],
    [
      'as Pulp 3 sends it: absolute',
      '<https://pulp.example/v2/a/tags/list?last=b>; rel="next"',
      [{ target: 'https://pulp.example/v2/a/tags/list?last=b', rel: 'next' }],
    ],
    ['a relation without quotes', '<x>; rel=next', [{ target: 'x', rel: 'next' }]],
    ['a relation in other case', '<x>; REL="Next"', [{ target: 'x', rel: 'next' }]],
    ['no relation', '<x>', [{ target: 'x', rel: '' }]],
    [
      'several links',
      '<a>; rel="prev", <b>; rel="next"',
      [
        { target: 'a', rel: 'prev' },
        { target: 'b', rel: 'next' },
      ],
    ],
    [
      'a comma and a semicolon inside the target and a parameter',
      '<a,b;c>; title="x, <y>; rel=no"; rel="next"',
      [{ target: 'a,b;c', rel: 'next' }],
    ],
    ['several relations: the first', '<x>; rel="next last"', [{ target: 'x', rel: 'next' }]],
    ['a repeated relation: only the first counts', '<x>; rel="a"; rel="b"', [{ target: 'x', rel: 'a' }]],
    ['white space about everything', '  < x > ;\trel = "next" ', [{ target: ' x ', rel: 'next' }]],
    ['an escaped quote', '<x>; title="a\\"b"; rel="next"', [{ target: 'x', rel: 'next' }]],
    ['nothing', '', []],
    ['what is no link', 'next', []],
    ['a target that does not end', '<x; rel="next"', []],
    ['what is no link before one', 'junk, <x>; rel="next"', [{ target: 'x', rel: 'next' }]],
  ])('%s: %s', (_, header, expected) => {
    expect(parseLinks(header)).toEqual(expected);
  });

  it('reads any text without fail', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('<', '>', ';', ',', '"', '\\', '=', ' ', 'rel', 'next', 'x'),
          maxLength: 200,
        }),
        (header) => {
          expect(Array.isArray(parseLinks(header))).toBe(true);
        },
      ),
    );
  });
});
