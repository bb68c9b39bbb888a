import { describe, expect, test } from 'vitest';
import { DEFAULT_POLICY, decideRedirect, isTransientStatus, nextPage, refuseRealm } from '../../src/origin/policy.ts';

const from = new URL('https://registry.example/v2/a/blobs/x');

describe('a redirect', () => {
  test.each<[string, string | null, { url: string; keepCredentials: boolean } | null]>([
    [
      'on the same host is followed with credentials',
      '/v2/b?x=1',
      { url: 'https://registry.example/v2/b?x=1', keepCredentials: true },
    ],
    [
      'to another host is followed without',
      'https://cdn.example/b#part',
      { url: 'https://cdn.example/b', keepCredentials: false },
    ],
    [
      'to another port is followed without',
      'https://registry.example:444/b',
      { url: 'https://registry.example:444/b', keepCredentials: false },
    ],
    ['from https to http is refused', 'http://registry.example/b', null],
    ['to another scheme is refused', 'ftp://registry.example/b', null],
    ['to a file is refused', 'file:///etc/passwd', null],
    ['with a password in it is refused', 'https://me:secret@cdn.example/b', null],
    ['without Location is refused', null, null],
    ['that cannot be read is refused', 'https://[', null],
  ])('%s', (_, location, expected) => {
    const decision = decideRedirect(from, location, DEFAULT_POLICY);
    expect(
      decision.kind === 'follow' ? { url: decision.url.href, keepCredentials: decision.keepCredentials } : null,
    ).toEqual(expected);
  });

  test('is refused where the policy does not go', () => {
    expect(decideRedirect(from, 'https://cdn.example/b', { ...DEFAULT_POLICY, allowRedirect: () => false }).kind).toBe(
      'refuse',
    );
  });
});

test.each([
  ['https://auth.example/token', null],
  ['http://auth.example/token', /from https to plain http/],
  ['https://me:secret@auth.example/token', /password/],
  ['token', /no readable address/],
])('credentials are shown to a token service at %s only if that is safe', (realm, problem) => {
  const found = refuseRealm(from, realm, DEFAULT_POLICY);
  if (problem === null) expect(found).toBeNull();
  else expect(found).toMatch(problem);
});

test.each([
  ['a relative link', '/v2/a/tags/list?last=b&n=2', 'https://registry.example/v2/a/tags/list?last=b&n=2'],
  [
    'an absolute link with the scheme and port that a registry behind a proxy sees',
    'http://registry.example:5000/v2/a/tags/list?last=b',
    'https://registry.example/v2/a/tags/list?last=b',
  ],
  ['a link to another host', 'https://other.example/v2/a/tags/list', undefined],
])('a list goes on by %s', (_, link, expected) => {
  expect(nextPage(from, link)?.href).toBe(expected);
});

test.each([408, 425, 429, 500, 502, 503, 504, 520])('%i may be another answer next time', (status) => {
  expect(isTransientStatus(status)).toBe(true);
});

test.each([400, 401, 403, 404, 410, 501, 505])('%i stays what it is', (status) => {
  expect(isTransientStatus(status)).toBe(false);
});
