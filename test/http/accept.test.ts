import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAccept, qualityOf } from '../../src/http/accept.ts';

const OCI = 'application/vnd.oci.image.manifest.v1+json';

describe('Accept (RFC 9110, 12.5.1)', () => {
  it.each([
    ['no header', null, null],
    ['an empty header says as little as none', '', null],
    ['so does one of white space', ' \t', null],
    ['a type', OCI, [{ type: OCI, q: 1 }]],
    ['types are compared in lower case', 'Application/JSON', [{ type: 'application/json', q: 1 }]],
    [
      'several, with white space and empty elements',
      ` ${OCI} ,,\t*/* ,`,
      [
        { type: OCI, q: 1 },
        { type: '*/*', q: 1 },
      ],
    ],
    ['a weight', 'a/b;q=0.25', [{ type: 'a/b', q: 0.25 }]],
    [
      'a weight among other parameters, its name in any case',
      'a/b; charset="x,y;q=0" ;Q=0.5;ext=1',
      [{ type: 'a/b', q: 0.5 }],
    ],
    ['a weight of nothing', 'a/b;q=0', [{ type: 'a/b', q: 0 }]],
    ['weights as Java writes them', '*/*; q=.2', [{ type: '*/*', q: 0.2 }]],
    ['more digits than there should be', 'a/b;q=0.12345', [{ type: 'a/b', q: 0.12345 }]],
    ['q=1.000', 'a/b;q=1.000', [{ type: 'a/b', q: 1 }]],
    [
      'weights that cannot be read count as 1',
      'a/b;q=2, c/d;q=-1, e/f;q=x, g/h;q, i/j;q=',
      ['a/b', 'c/d', 'e/f', 'g/h', 'i/j'].map((type) => ({ type, q: 1 })),
    ],
    ['the first weight counts', 'a/b;q=0.1;q=0.9', [{ type: 'a/b', q: 0.1 }]],
    ['what is no media range is left out', 'text, /x, x/, a/b/c, */json, a b/c, "a/b", ;q=1', []],
    [
      'an escaped quote within a quoted string',
      'a/b;x="\\",";q=0.3, c/d',
      [
        { type: 'a/b', q: 0.3 },
        { type: 'c/d', q: 1 },
      ],
    ],
    ['a quote that is never closed takes the rest', 'a/b;x=", c/d', [{ type: 'a/b', q: 1 }]],
  ])('%s: %j', (_, header, expected) => {
    expect(parseAccept(header)).toEqual(expected);
  });

  it('reads any text, with weights from 0 to 1', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: fc.constantFrom('a', '/', '*', ',', ';', 'q', '=', '0', '.', '1', '"', '\\', ' ') }),
        ),
        (header) => {
          for (const { type, q } of parseAccept(header) ?? []) {
            expect(type).toMatch(/^[^\s/]+\/[^\s/]+$/);
            expect(q >= 0 && q <= 1).toBe(true);
          }
        },
      ),
    );
  });

  it('of several header lines, joined, reads the same as of each', () => {
    const line = fc
      .array(fc.constantFrom('a/b', 'c/d;q=0.5', '*/*;q=0', 'x'), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join(', '));
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 4 }), (lines) => {
        expect(parseAccept(lines.join(', '))).toEqual(lines.flatMap((one) => parseAccept(one) ?? []));
      }),
    );
  });
});

describe('the weight of a media type', () => {
  it.each([
    ['none that fits', 'c/d', 0],
    ['the type itself', 'a/b;q=0.3', 0.3],
    ['its group', 'a/*;q=0.2', 0.2],
    ['any', '*/*;q=0.1', 0.1],
    ['the type before its group, though lower', 'a/*, a/b;q=0.3', 0.3],
    ['the group before any, though lower', '*/*, a/*;q=0.2', 0.2],
    ['a type ruled out', '*/*, a/b;q=0', 0],
    ['of a repeated type the highest', 'a/b;q=0.1, a/b;q=0.6, a/b;q=0.2', 0.6],
    ['another group', 'c/*', 0],
  ])('%s: %s', (_, header, expected) => {
    expect(qualityOf(parseAccept(header) ?? [], 'a/b')).toBe(expected);
  });
});
