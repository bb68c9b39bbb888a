import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { algorithmOf, DIGEST_HEX_LENGTH, hexOf, parseDigest } from '../../src/registry/digest.ts';
import {
  formOfMediaType,
  FORMS,
  isListForm,
  MEDIA_TYPE_OF_FORM,
  SCHEMA1_PLAIN,
} from '../../src/registry/media-type.ts';
import { compareNames, NAME_MAX_LENGTH, parseRepositoryName, parseTag } from '../../src/registry/name.ts';
import { formatPlatform, parsePlatform } from '../../src/registry/platform.ts';
import { parseReference } from '../../src/registry/reference.ts';
import { digest, platform, repositoryName, tag } from './arbitraries.ts';

const SHA256 = `sha256:${'0123456789abcdef'.repeat(4)}`;
const SHA512 = `sha512:${'0123456789abcdef'.repeat(8)}`;

describe('a repository name', () => {
  it.each([
    'a',
    '0',
    'library/busybox',
    'a.b',
    'a_b',
    'a__b',
    'a-b',
    'a---b',
    'a/b/c/d/e',
    'example.com/x',
    'a1.b2_c3__d4-e5',
    'x'.repeat(NAME_MAX_LENGTH),
  ])('%s is one', (text) => {
    expect(parseRepositoryName(text)).toBe(text);
  });

  it.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'A',
    'a..b',
    'a___b',
    'a._b',
    '.a',
    'a.',
    '-a',
    'a-',
    '_a',
    'a_',
    'é',
    'a b',
    'a:b',
    'a@b',
    'a\n',
    'a/_tags',
    'a/../b',
    'a%2Fb',
    'localhost:5000/a',
    'x'.repeat(NAME_MAX_LENGTH + 1),
  ])('%j is none', (text) => {
    expect(parseRepositoryName(text)).toBeNull();
  });

  it('is read in time that grows with its length', () => {
    // The grammar's separators invite backtracking; 255 characters bound it.
    expect(parseRepositoryName(`${'a-'.repeat(127)}!`)).toBeNull();
    expect(parseRepositoryName(`${'a'.repeat(254)}!`)).toBeNull();
  });
});

describe('a tag', () => {
  it.each(['latest', '1.36', '_', 'A', 'V1.0_-', 'x'.repeat(128), '_tags.json'])('%s is one', (text) => {
    expect(parseTag(text)).toBe(text);
  });

  it.each(['', '.', '-', '.x', '-x', 'a/b', 'a:b', 'a b', 'é', 'a\n', 'x'.repeat(129), 'a+b', 'a@b'])(
    '%j is none',
    (text) => {
      expect(parseTag(text)).toBeNull();
    },
  );
});

describe('a digest', () => {
  it.each([SHA256, SHA512])('%s is one', (text) => {
    const read = parseDigest(text);
    expect(read).toBe(text);
    if (read !== null) expect(`${algorithmOf(read)}:${hexOf(read)}`).toBe(text);
    if (read !== null) expect(hexOf(read)).toHaveLength(DIGEST_HEX_LENGTH[algorithmOf(read)]);
  });

  it.each([
    '',
    'sha256',
    'sha256:',
    SHA256.slice(0, -1),
    `${SHA256}0`,
    SHA256.toUpperCase(),
    `SHA256:${'a'.repeat(64)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'g'.repeat(64)}`,
    `sha384:${'a'.repeat(96)}`,
    `md5:${'a'.repeat(32)}`,
    `${SHA256}\n`,
    ` ${SHA256}`,
  ])('%j is none that is served', (text) => {
    expect(parseDigest(text)).toBeNull();
  });
});

describe('a reference', () => {
  it('is a tag or a digest, and reads back as what it was', () => {
    fc.assert(
      fc.property(tag, digest, (oneTag, oneDigest) => {
        expect(parseReference(oneTag)).toEqual({ kind: 'tag', tag: oneTag });
        expect(parseReference(oneDigest)).toEqual({ kind: 'digest', digest: oneDigest });
      }),
    );
  });

  it.each([
    ['sha256:short', 'bad-digest'],
    [`md5:${'a'.repeat(32)}`, 'bad-digest'],
    [':', 'bad-digest'],
    ['a:b', 'bad-digest'],
    ['', 'bad-tag'],
    ['.x', 'bad-tag'],
    ['x'.repeat(129), 'bad-tag'],
    ['a b', 'bad-tag'],
  ])('%j is a %s', (text, kind) => {
    expect(parseReference(text)).toEqual({ kind });
  });
});

describe('names are sorted by their characters, capitals and digits before small letters', () => {
  it('as the OCI distribution spec sorts', () => {
    expect(['b', 'a', 'B', '1', '_', '10', '9', 'a.b', 'a-b', 'a/b', 'a'].sort(compareNames)).toEqual([
      '1',
      '10',
      '9',
      'B',
      '_',
      'a',
      'a',
      'a-b',
      'a.b',
      'a/b',
      'b',
    ]);
  });

  it('in one total order', () => {
    fc.assert(
      fc.property(repositoryName, repositoryName, repositoryName, (a, b, c) => {
        expect(Math.sign(compareNames(a, b))).toBe(-Math.sign(compareNames(b, a)) + 0);
        expect(compareNames(a, b) === 0).toBe(a === b);
        if (compareNames(a, b) <= 0 && compareNames(b, c) <= 0) expect(compareNames(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

describe('a platform', () => {
  it.each([
    ['linux/amd64', { os: 'linux', architecture: 'amd64' }],
    ['linux/arm/v7', { os: 'linux', architecture: 'arm', variant: 'v7' }],
    ['windows/amd64:10.0.17763.5329', { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763.5329' }],
    ['windows/arm64/v8:10.0', { os: 'windows', architecture: 'arm64', variant: 'v8', 'os.version': '10.0' }],
  ])('%s reads and writes', (text, expected) => {
    expect(parsePlatform(text)).toEqual(expected);
    expect(formatPlatform(expected)).toBe(text);
  });

  it.each(['', 'linux', '/', 'linux/', '/amd64', 'linux/amd64/', 'a/b/c/d', 'linux/amd64:'])('%j is none', (text) => {
    expect(parsePlatform(text)).toBeNull();
  });

  it('that reads back is written the same', () => {
    fc.assert(
      fc.property(platform, (one) => {
        const back = parsePlatform(formatPlatform(one));
        if (back !== null) expect(formatPlatform(back)).toBe(formatPlatform(one));
      }),
    );
  });
});

describe('a form', () => {
  it.each(FORMS)('%s is known by its media type', (form) => {
    expect(formOfMediaType(MEDIA_TYPE_OF_FORM[form])).toBe(form);
    expect(isListForm(form)).toBe(form === 'oci-index' || form === 'docker-list');
  });

  it('schema 1 has a second media type; others have no form', () => {
    expect(formOfMediaType(SCHEMA1_PLAIN)).toBe('docker-schema1');
    expect(
      ['', 'application/json', '*/*', 'toString', MEDIA_TYPE_OF_FORM['oci-index'].toUpperCase()].map(formOfMediaType),
    ).toEqual([null, null, null, null, null]);
  });
});
