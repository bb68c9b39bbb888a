import { decodeJwt, exportPKCS8, generateKeyPair } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { toBase64Url } from '../../../src/registry/base64.ts';
import { robotTokenText } from '../../../src/registry/robot-token.ts';
import { authorizeToken } from '../../../src/worker/access/authorize.ts';
import type { Caller } from '../../../src/worker/access/caller.ts';
import type { ClientCertificate } from '../../../src/worker/access/certificate.ts';
import { readCredentials } from '../../../src/worker/access/credentials.ts';
import { GUEST_TOKEN, identify, presentsAnything } from '../../../src/worker/access/identify.ts';
import { clientKey, tooManyFailures } from '../../../src/worker/access/login-limit.ts';
import { type AccessPolicy, parseAccess } from '../../../src/worker/access/policy.ts';
import {
  issueToken,
  SCOPES_MAX,
  TOKEN_LIFETIME,
  type TokenAnswer,
} from '../../../src/worker/access/tokens/issue-token.ts';

const ORIGIN = 'https://registry.example';
const NOW = new Date('2026-11-24T12:00:00Z');
const REALMS = [
  { pattern: 'team-a/*', realm: 'team-a' },
  { pattern: 'team-b/*', realm: 'team-b' },
];
const ACCESS = { realms: { 'team-b': { certificates: [{ subject: 'OU=team-b' }] } } };
const TOKENS = {
  a: robotTokenText(new Uint8Array(32).fill(1)),
  soon: robotTokenText(new Uint8Array(32).fill(2)),
  old: robotTokenText(new Uint8Array(32).fill(3)),
};
const CERTIFICATE: ClientCertificate = {
  certPresented: '1',
  certVerified: 'SUCCESS',
  certRevoked: '0',
  certFingerprintSHA256: '00'.repeat(32),
  certSubjectDNRFC2253: 'CN=host,OU=team-b',
  certIssuerDNRFC2253: 'CN=CA',
};

let plain: AccessPolicy;
let signing: AccessPolicy;

beforeAll(async () => {
  const line = async (name: string, realms: string, expires: string, token: string): Promise<string> =>
    `${name} ${realms} ${expires} sha256:${toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))))}`;
  const tokens = {
    TOKENS: await line('a', 'team-a', 'never', TOKENS.a),
    TOKENS_2: `${await line('soon', 'team-a', '2026-11-24T12:01:00Z', TOKENS.soon)}\n${await line('old', 'team-a', '2026-11-24T12:00:00Z', TOKENS.old)}`,
  };
  plain = parseAccess({ realms: REALMS, access: ACCESS, tokens });
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  signing = parseAccess({ realms: REALMS, access: ACCESS, tokens, signingKeys: await exportPKCS8(privateKey) });
});

const basic = (password: string, user = 'x'): string => `Basic ${btoa(`${user}:${password}`)}`;
const who = (authorization: string | null, certificate: ClientCertificate | null = null): Promise<Caller> =>
  identify(plain, { authorization, certificate }, ORIGIN, NOW);

describe('what was presented', () => {
  it.each<[string, string | null, string]>([
    ['nothing', null, 'none'],
    ['an empty header', '', 'none'],
    ['the empty Basic of clients without a password', 'Basic Og==', 'none'],
    ['Basic', basic('p'), 'basic'],
    ['Basic in lower case', basic('p').replace('Basic', 'basic'), 'basic'],
    ['Basic with a password alone', basic('p', ''), 'basic'],
    ['Basic without a colon', `Basic ${btoa('x')}`, 'unreadable'],
    ['Basic that is no base64', 'Basic x:y', 'unreadable'],
    ['Basic that is no UTF-8', `Basic ${btoa('x:\xff')}`, 'unreadable'],
    ['Bearer', 'Bearer a.b.c', 'bearer'],
    ['Bearer without a token', 'Bearer ', 'unreadable'],
    ['two in one', 'Bearer a, Basic b', 'unreadable'],
    ['another scheme', 'Digest x', 'unreadable'],
    ['too much', `Bearer ${'x'.repeat(20_000)}`, 'unreadable'],
  ])('is read: %s', (_, header, kind) => {
    expect(readCredentials(header).kind).toBe(kind);
  });

  it('takes a password as it is, colons and all', () => {
    expect(readCredentials(`Basic ${btoa('u:a:b')}`)).toEqual({ kind: 'basic', password: 'a:b' });
  });
});

describe('who asks', () => {
  it.each<[string, () => string | null, string]>([
    ['nothing', () => null, 'nobody'],
    ['the guest token', () => `Bearer ${GUEST_TOKEN}`, 'guest'],
    ['the guest token as a password', () => basic(GUEST_TOKEN), 'refused'],
    ['a robot token', () => basic(TOKENS.a), 'known'],
    ['a robot token, whoever says it', () => basic(TOKENS.a, 'somebody-else'), 'known'],
    ['a robot token as Bearer', () => `Bearer ${TOKENS.a}`, 'known'],
    ['a robot token of another secret', () => basic(TOKENS.soon), 'known'],
    ['one whose time is over', () => basic(TOKENS.old), 'refused'],
    ['a robot token as the user', () => basic('', TOKENS.a), 'refused'],
    ['a wrong one', () => basic(robotTokenText(new Uint8Array(32).fill(9))), 'refused'],
    ['a JWT where nobody issues any', () => 'Bearer a.b.c', 'refused'],
  ])('is told by %s', async (_, header, standing) => {
    expect((await who(header())).standing).toBe(standing);
  });

  it('has the realms of the token that the table still knows', async () => {
    expect([...(await who(basic(TOKENS.soon))).realms]).toEqual(['team-a']);
  });

  it('may be told by a certificate, alone or beside a token', async () => {
    expect(await who(null, CERTIFICATE)).toMatchObject({ standing: 'known', name: 'CN=host,OU=team-b' });
    expect([...(await who(basic(TOKENS.a), CERTIFICATE)).realms].sort()).toEqual(['team-a', 'team-b']);
    expect((await who(null, { ...CERTIFICATE, certSubjectDNRFC2253: 'CN=host' })).standing).toBe('nobody');
    expect((await who(null, { ...CERTIFICATE, certVerified: 'FAILED:expired' })).standing).toBe('nobody');
  });

  it('is told to have presented something without being looked at', () => {
    expect(presentsAnything(plain, { authorization: 'Basic Og==', certificate: null })).toBe(false);
    expect(presentsAnything(plain, { authorization: `Bearer ${GUEST_TOKEN}`, certificate: null })).toBe(false);
    expect(presentsAnything(plain, { authorization: 'Bearer x', certificate: null })).toBe(true);
    expect(presentsAnything(plain, { authorization: null, certificate: CERTIFICATE })).toBe(true);
    expect(presentsAnything(parseAccess({ realms: REALMS }), { authorization: null, certificate: CERTIFICATE })).toBe(
      false,
    );
  });
});

describe('the token endpoint', () => {
  const ask = async (
    policy: AccessPolicy,
    authorization: string | null,
    query = '',
    certificate: ClientCertificate | null = null,
  ): Promise<TokenAnswer> =>
    issueToken(policy, await identify(policy, { authorization, certificate }, ORIGIN, NOW), {
      query: new URLSearchParams(query),
      authorization,
      origin: ORIGIN,
      now: NOW,
    });
  const use = (policy: AccessPolicy, { token }: TokenAnswer): Promise<Caller> =>
    identify(policy, { authorization: `Bearer ${token}`, certificate: null }, ORIGIN, NOW);

  it('gives those without credentials the guest token', async () => {
    for (const policy of [plain, signing]) {
      expect(await ask(policy, null, 'scope=repository:team-a/x:pull')).toEqual({
        token: GUEST_TOKEN,
        access_token: GUEST_TOKEN,
        expires_in: TOKEN_LIFETIME,
        issued_at: '2026-11-24T12:00:00.000Z',
      });
    }
  });

  it('gives a robot token back where there is no key to sign with', async () => {
    expect((await ask(plain, basic(TOKENS.a))).token).toBe(TOKENS.a);
    expect((await use(plain, await ask(plain, basic(TOKENS.a)))).standing).toBe('known');
  });

  it('signs a token for what was asked and may be had, and nothing else', async () => {
    const answer = await ask(
      signing,
      basic(TOKENS.a),
      'scope=repository:team-a/x:pull,push&scope=repository:team-b/x:pull%20repository:library/y:pull&service=s',
    );
    expect(answer.access_token).toBe(answer.token);
    expect(answer.token).not.toContain(TOKENS.a);
    const claims = decodeJwt(answer.token);
    expect(claims).toMatchObject({ iss: 'gantry', aud: 'registry.example', sub: 'a' });
    expect(claims.access).toEqual([
      { type: 'repository', name: 'team-a/x', actions: ['pull'] },
      { type: 'repository', name: 'library/y', actions: ['pull'] },
    ]);
    const caller = await use(signing, answer);
    expect(caller.standing).toBe('known');
    expect([...caller.repositories]).toEqual(['team-a/x']);
    expect(caller.realms.size + caller.listed.size).toBe(0);
  });

  it('signs a token for the catalogue, which pulls nothing', async () => {
    const caller = await use(signing, await ask(signing, basic(TOKENS.a), 'scope=registry:catalog:*'));
    expect([...caller.listed]).toEqual(['team-a']);
    expect(caller.realms.size + caller.repositories.size).toBe(0);
  });

  it('takes none of its own tokens, so that none renews itself', async () => {
    const { token } = await ask(signing, basic(TOKENS.a), 'scope=repository:team-a/x:pull');
    const facts = { authorization: `Bearer ${token}`, certificate: null, origin: ORIGIN, address: null, page: false };
    expect(await authorizeToken(signing, null, facts, NOW)).toMatchObject({ kind: 'refuse', reason: 'unauthorized' });
  });

  it('makes no token that outlives what it was made from', async () => {
    const answer = await ask(signing, basic(TOKENS.soon));
    expect(answer.expires_in).toBe(60);
    const { exp, iat } = decodeJwt(answer.token);
    expect((exp ?? 0) - (iat ?? 0)).toBe(60);
  });

  it('signs for a certificate too', async () => {
    const caller = await use(signing, await ask(signing, null, 'scope=repository:team-b/x:pull', CERTIFICATE));
    expect([...caller.repositories]).toEqual(['team-b/x']);
  });

  it('reads scopes that make no sense as nothing, and not endlessly many', async () => {
    const nonsense =
      'scope=&scope=:&scope=repository::pull&scope=repository:TEAM:pull&scope=repository:team-a/x:&scope=repository:team-a/x:push&scope=repository(plugin):team-a/x:pull';
    expect(decodeJwt((await ask(signing, basic(TOKENS.a), nonsense)).token).access).toEqual([]);
    const many = Array.from({ length: 500 }, (_, index) => `scope=repository:team-a/x${String(index)}:pull`).join('&');
    expect(decodeJwt((await ask(signing, basic(TOKENS.a), many)).token).access).toHaveLength(SCOPES_MAX);
  });
});

describe('failed logins', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0DB8:0000:0000:ffff::', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    [null, 'unknown'],
  ])('count by address, IPv6 by the customer’s /64: %s', (address, key) => {
    expect(clientKey(address)).toBe(key);
  });

  it('are too many when the platform says so, and never where it counts nothing', async () => {
    const asked: string[] = [];
    const limiter = {
      limit: ({ key }: { key: string }) => {
        asked.push(key);
        return Promise.resolve({ success: asked.length < 3 });
      },
    };
    const verdicts = [];
    for (let turn = 0; turn < 3; turn++) verdicts.push(await tooManyFailures(limiter, '192.0.2.1'));
    expect(verdicts).toEqual([false, false, true]);
    expect(new Set(asked)).toEqual(new Set(['login:192.0.2.1']));
    expect(await tooManyFailures(null, '192.0.2.1')).toBe(false);
  });
});
