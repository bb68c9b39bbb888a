import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../src/origin/network.ts';
import { DEFAULT_POLICY, decideRedirect, isTransientStatus, nextPage, refuseRealm } from '../../src/origin/policy.ts';
import { titleOf } from '../attacks.ts';

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
  const found = refuseRealm(from, realm, true, { tokenServices: [new URL('https://auth.example')] });
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

describe(titleOf('credentials-in-clear'), () => {
  test.each<[string, string, string, readonly string[], RegExp | null]>([
    ['go to the own host', 'https://r.example', 'https://r.example/token', [], null],
    ['go to another port of the own host', 'https://r.example:5050', 'https://r.example/jwt/auth', [], null],
    [
      'go to the well-known service of Docker Hub',
      'https://registry-1.docker.io',
      'https://auth.docker.io/token',
      [],
      null,
    ],
    ['do not go to Docker Hub’s for others', 'https://r.example', 'https://auth.docker.io/token', [], /named/],
    ['do not go to a host of the same domain', 'https://r.example', 'https://auth.r.example/token', [], /named/],
    ['do not go elsewhere', 'https://r.example', 'https://evil.example/token', [], /receive the credentials/],
    ['go to a service that the rule names', 'https://r.example', 'https://a.example/t', ['https://a.example/x'], null],
    ['do not go to another port of it', 'https://r.example', 'https://a.example:1/t', ['https://a.example'], /named/],
    ['do not go from this machine to another', 'http://localhost:5000', 'http://evil.example/token', [], /named/],
    ['do not go in the clear', 'http://127.0.0.1:5000', 'http://a.example/t', ['http://a.example'], /plain http/],
    ['go to another port of this machine', 'http://127.0.0.1:5000', 'http://127.0.0.1:5001/token', [], null],
  ])('%s', (_, registry, realm, named, problem) => {
    const tokenServices = named.map((url) => new URL(url));
    const found = refuseRealm(new URL(registry), realm, true, { tokenServices });
    if (problem === null) expect(found).toBeNull();
    else expect(found).toMatch(problem);
  });

  test('that there are none of go nowhere: any public service may give a token', () => {
    expect(refuseRealm(from, 'https://elsewhere.example/token', false, { tokenServices: [] })).toBeNull();
    expect(refuseRealm(from, 'https://10.0.0.1/token', false, { tokenServices: [] })).toMatch(
      /network of this machine/,
    );
  });
});

describe('the network of this machine', () => {
  test.each([
    ['https://203.0.113.9', 'public'],
    ['https://registry.example', 'public'],
    ['https://10.1.2.3', 'private'],
    ['https://172.31.0.1', 'private'],
    ['https://172.32.0.1', 'public'],
    ['https://192.168.1.1', 'private'],
    ['https://100.64.0.1', 'private'],
    ['https://169.254.169.254', 'link-local'],
    ['https://0', 'loopback'],
    ['https://127.1', 'loopback'],
    ['https://2130706433', 'loopback'],
    ['https://0x7f.1', 'loopback'],
    ['https://localhost', 'loopback'],
    ['https://localhost.', 'loopback'],
    ['https://a.localhost', 'loopback'],
    ['https://metadata.google.internal', 'private'],
    ['https://printer.local', 'private'],
    ['https://registry', 'private'],
    ['https://[::1]', 'loopback'],
    ['https://[::]', 'loopback'],
    ['https://[::ffff:127.0.0.1]', 'loopback'],
    ['https://[::ffff:10.0.0.1]', 'private'],
    ['https://[64:ff9b::a9fe:a9fe]', 'link-local'],
    ['https://[fd00::1]', 'private'],
    ['https://[fe80::1]', 'link-local'],
    ['https://[2001:db8::1]', 'public'],
  ])('%s is %s', (url, scope) => {
    expect(scopeOf(new URL(url))).toBe(scope);
  });

  test.each([
    ['https://registry.example', 'https://10.0.0.1/b', false],
    ['https://registry.example', 'https://localhost/b', false],
    ['https://registry.example', 'https://[::ffff:169.254.169.254]/b', false],
    ['https://10.0.0.2', 'https://10.0.0.1/b', true],
    ['https://10.0.0.2', 'https://169.254.169.254/b', false],
    ['https://10.0.0.2', 'https://127.0.0.1/b', false],
    ['https://10.0.0.2', 'https://cdn.example/b', true],
    ['http://127.0.0.1:5000', 'http://127.0.0.1:9000/b', true],
  ])(`${titleOf('upstream-reaches-inside')}: %s to %s`, (registry, location, followed) => {
    expect(decideRedirect(new URL(registry), location, DEFAULT_POLICY).kind).toBe(followed ? 'follow' : 'refuse');
  });
});
