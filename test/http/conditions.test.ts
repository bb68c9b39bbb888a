import { describe, expect, it } from 'vitest';
import { allowsMatch, allowsRange, isNamed } from '../../src/http/conditions.ts';

const TAG = '"sha256:abc"';

describe('If-None-Match (RFC 9110, section 13.1.2)', () => {
  it.each([TAG, `W/${TAG}`, `"x", ${TAG}`, `"x",W/${TAG},"y"`, '*', ' * ', `"a,b", ${TAG}`, `${TAG},`])(
    '%s names it',
    (header) => {
      expect(isNamed(header, TAG)).toBe(true);
    },
  );

  it.each([null, '', '"x"', 'sha256:abc', '"sha256:ab"', '"SHA256:ABC"', 'w/"sha256:abcd"', '"*"', '**'])(
    '%s does not',
    (header) => {
      expect(isNamed(header, TAG)).toBe(false);
    },
  );

  it('compares weakly', () => {
    expect(isNamed('"x"', 'W/"x"')).toBe(true);
  });
});

describe('If-Range (RFC 9110, section 13.1.5)', () => {
  it.each([
    [null, TAG, true],
    [TAG, TAG, true],
    [` ${TAG} `, TAG, true],
    [`W/${TAG}`, TAG, false],
    [`W/${TAG}`, `W/${TAG}`, false],
    ['"other"', TAG, false],
    ['Sat, 29 Oct 1994 19:43:31 GMT', TAG, false],
    ['*', TAG, false],
  ])('%s with the entity tag %s: %s', (header, etag, expected) => {
    expect(allowsRange(header, etag)).toBe(expected);
  });
});

describe('If-Match (section 13.1.1)', () => {
  it.each<[string | null, string, boolean]>([
    [null, '"x"', true],
    ['*', 'W/"x"', true],
    ['"x"', '"x"', true],
    ['"y", "x"', '"x"', true],
    ['"y"', '"x"', false],
    ['W/"x"', '"x"', false],
    ['W/"x"', 'W/"x"', false],
    ['x', '"x"', false],
  ])('%s allows %s: %s', (header, etag, expected) => {
    expect(allowsMatch(header, etag)).toBe(expected);
  });
});
