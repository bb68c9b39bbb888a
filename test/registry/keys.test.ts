import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blobKey,
  CATALOG_KEY,
  FORMAT_KEY,
  GC_JOURNAL_KEY,
  manifestKey,
  manifestsPrefix,
  parseKey,
  referrersKey,
  referrersPrefix,
  repositoryPrefix,
  signaturesKey,
  tagKey,
  tagListKey,
  tagsPrefix,
} from '../../src/registry/keys.ts';
import { digest, realm, repositoryName, tag } from './arbitraries.ts';

describe('every key reads back as what it was made from', () => {
  it.each([
    [
      'blobs',
      fc
        .tuple(realm, digest)
        .map(([name, value]) => [blobKey(name, value), { kind: 'blob', realm: name, digest: value }]),
    ],
    [
      'manifests',
      fc
        .tuple(repositoryName, digest)
        .map(([name, value]) => [manifestKey(name, value), { kind: 'manifest', name, digest: value }]),
    ],
    [
      'tags',
      fc.tuple(repositoryName, tag).map(([name, value]) => [tagKey(name, value), { kind: 'tag', name, tag: value }]),
    ],
    ['tag lists', repositoryName.map((name) => [tagListKey(name), { kind: 'tag-list', name }])],
    [
      'referrers',
      fc
        .tuple(repositoryName, digest)
        .map(([name, value]) => [referrersKey(name, value), { kind: 'referrers', name, subject: value }]),
    ],
    [
      'signatures',
      fc
        .tuple(repositoryName, digest)
        .map(([name, value]) => [signaturesKey(name, value), { kind: 'signatures', name, subject: value }]),
    ],
    ['the catalogue', fc.constant([CATALOG_KEY, { kind: 'catalog' }])],
    ['the format object', fc.constant([FORMAT_KEY, { kind: 'format' }])],
    ['the journal', fc.constant([GC_JOURNAL_KEY, { kind: 'gc-journal' }])],
  ] as const)('%s', (_, pairs) => {
    fc.assert(
      fc.property(pairs as fc.Arbitrary<readonly [string, unknown]>, ([key, meaning]) => {
        expect(parseKey(key)).toEqual(meaning);
        expect(new TextEncoder().encode(key).length).toBeLessThanOrEqual(1_024);
      }),
    );
  });
});

describe('the layout', () => {
  it('keeps what belongs to one repository below its prefixes', () => {
    fc.assert(
      fc.property(repositoryName, tag, digest, (name, oneTag, value) => {
        const prefix = repositoryPrefix(name);
        for (const key of [tagKey(name, oneTag), manifestKey(name, value), referrersKey(name, value), tagListKey(name)])
          expect(key.startsWith(prefix)).toBe(true);
        expect(tagKey(name, oneTag).startsWith(tagsPrefix(name))).toBe(true);
        expect(manifestKey(name, value).startsWith(manifestsPrefix(name))).toBe(true);
        expect(referrersKey(name, value).startsWith(referrersPrefix(name))).toBe(true);
      }),
    );
  });

  it('never gives two repositories the same tag, manifest or list prefix', () => {
    fc.assert(
      fc.property(repositoryName, repositoryName, tag, (one, other, oneTag) => {
        fc.pre(one !== other);
        expect(tagKey(one, oneTag).startsWith(tagsPrefix(other))).toBe(false);
        expect(tagListKey(one)).not.toBe(tagListKey(other));
      }),
    );
  });

  it.each([
    '',
    'catalog',
    'blobs/',
    `blobs/public/sha256/${'a'.repeat(63)}`,
    `blobs/public/md5/${'a'.repeat(32)}`,
    `blobs/sha256/${'a'.repeat(64)}`,
    `blobs/a/b/sha256/${'a'.repeat(64)}`,
    'repositories/A/_tags/x',
    'repositories/a/_tags/',
    'repositories/a/_tags/.x',
    'repositories/a/_tags/x/y',
    'repositories/a/_manifests/latest',
    `repositories/a/_referrers/sha256:${'a'.repeat(64)}`,
    'repositories/_tags.json',
    'repositories/a/_other/x',
    'other',
  ])('reads %j as none of its own', (key) => {
    expect(parseKey(key)).toBeNull();
  });
});
