import { describe, expect, it } from 'vitest';
import { parseRepositoryName } from '../../../src/registry/name.ts';
import { realmOf } from '../../../src/registry/realms.ts';
import { parseAccess } from '../../../src/worker/access/policy.ts';
import { titleOf } from '../../attacks.ts';

const REALMS = [{ pattern: 'team-a/*', realm: 'team-a' }];
const ISSUER = { issuer: 'https://auth.example', audience: 'registry', jwks: 'https://auth.example/jwks' };
const KEY = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' };

describe('the tables of who may read what', () => {
  it('are empty where nothing is configured: everything is public', () => {
    const policy = parseAccess({});
    expect(policy.protectedRealms.size).toBe(0);
    expect(parseAccess({ realms: '', access: '', tokens: {}, signingKeys: '' }).protectedRealms.size).toBe(0);
  });

  it('may be JSON text as well as JSON', () => {
    const access = {
      issuers: { pulp: ISSUER },
      realms: { 'team-a': { issuers: ['pulp'], certificates: [{ subject: 'OU=a' }] } },
    };
    expect(parseAccess({ realms: JSON.stringify(REALMS), access: JSON.stringify(access) })).toEqual(
      parseAccess({ realms: REALMS, access }),
    );
  });

  it('do not count the public realm among those protected', () => {
    expect([
      ...parseAccess({ realms: [{ pattern: 'team-a/open/*', realm: 'public' }, ...REALMS] }).protectedRealms,
    ]).toEqual(['team-a']);
  });

  it.each<[string, unknown, RegExp]>([
    ['text that is not JSON', '{', /not JSON/],
    ['a list', [], /must be an object/],
    ['an unknown member', { reader: {} }, /"reader".*Allowed: login/],
    ['an unknown login', { login: 'digest' }, /"bearer", "basic" or "none"/],
    ['a service with a quote in it', { service: 'a"b' }, /service/],
    ['an authority that is no address', { authority: 'auth.example' }, /authority/],
    ['a realm that nothing is in', { realms: { 'team-b': {} } }, /team-b names a realm that REALMS does not protect/],
    ['the public realm', { realms: { public: {} } }, /public names a realm/],
    ['an inherited name', { realms: { constructor: {} } }, /constructor names a realm/],
    ['an issuer that is not there', { realms: { 'team-a': { issuers: ['pulp'] } } }, /"pulp", which is not in/],
    ['an unknown member of a realm', { realms: { 'team-a': { issuer: [] } } }, /"issuer"/],
    ['certificates that are no list', { realms: { 'team-a': { certificates: {} } } }, /must be an array/],
    ['an issuer without audience', { issuers: { x: { ...ISSUER, audience: [] } } }, /audience is missing/],
    ['an issuer without keys', { issuers: { x: { issuer: 'x', audience: 'y' } } }, /either jwks or pem/],
    ['an issuer with both kinds of keys', { issuers: { x: { ...ISSUER, pem: 'x' } } }, /either jwks or pem/],
    ['a symmetric algorithm', { issuers: { x: { ...ISSUER, algorithms: ['HS256'] } } }, /"HS256"/],
    ['no algorithm', { issuers: { x: { ...ISSUER, algorithms: ['none'] } } }, /"none"/],
    ['keys over plain HTTP', { issuers: { x: { ...ISSUER, jwks: 'http://auth.example/jwks' } } }, /https/],
    [
      'a shared secret among the keys',
      { issuers: { x: { ...ISSUER, jwks: { keys: [KEY, { kty: 'oct', k: 'AA' }] } } } },
      /keys\[1\] is not a public key/,
    ],
    [
      'a private key among the keys',
      { issuers: { x: { ...ISSUER, jwks: { keys: [{ ...KEY, d: 'secret' }] } } } },
      /not a public key/,
    ],
    ['no keys', { issuers: { x: { ...ISSUER, jwks: { keys: [] } } } }, /must be an array of keys/],
    [
      'PEM of a private key',
      {
        issuers: {
          x: { issuer: 'x', audience: 'y', pem: '-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----' },
        },
      },
      /PEM of public keys/,
    ],
    ['our own issuer', { issuers: { x: { ...ISSUER, issuer: 'gantry' } } }, /may not be "gantry"/],
    ['one issuer twice', { issuers: { x: ISSUER, y: ISSUER } }, /twice/],
  ])('are refused, saying what is wrong: %s', (_, access, message) => {
    expect(() => parseAccess({ realms: REALMS, access })).toThrow(message);
  });

  it('refuse a secret that cannot be read, without showing it', () => {
    expect(() => parseAccess({ tokens: { TOKENS_B: 'hunter2' } })).toThrow(/^TOKENS_B, line 1:/);
    expect(() => parseAccess({ tokens: { TOKENS_B: 'hunter2' } })).not.toThrow(/hunter2/);
    expect(() => parseAccess({ signingKeys: 'hunter2' })).toThrow(/PKCS#8/);
    expect(() => parseAccess({ signingKeys: 'hunter2' })).not.toThrow(/hunter2/);
  });

  it(titleOf('token-realm-unknown'), () => {
    const line = (realms: string): Record<string, string> => ({
      TOKENS: `ci ${realms} never sha256:${'A'.repeat(43)}`,
    });
    expect(parseAccess({ realms: REALMS, tokens: line('team-a,public') }).robotTokens).toHaveLength(1);
    expect(() => parseAccess({ realms: REALMS, tokens: line('team-a,gone') })).toThrow(/"ci".*"gone".*REALMS/);
    expect(() => parseAccess({ tokens: line('team-a') })).toThrow(/"team-a"/);
  });

  it('protect what no rule matches, where DEFAULT_ACCESS is private', () => {
    const realms = [{ pattern: 'open/*', realm: 'public' }, ...REALMS];
    const policy = parseAccess({ realms, defaultAccess: 'private' });
    expect([...policy.protectedRealms]).toEqual(['team-a', 'private']);
    const realm = (name: string): string => realmOf(policy.realms, parseRepositoryName(name) ?? expect.fail(name));
    expect(['open/x', 'team-a/x', 'team-b/x'].map(realm)).toEqual(['public', 'team-a', 'private']);
    expect(parseAccess({ realms, defaultAccess: 'public' })).toEqual(parseAccess({ realms }));
    expect(() => parseAccess({ realms, defaultAccess: 'closed' })).toThrow(/DEFAULT_ACCESS/);
  });
});
