import {
  base64url,
  calculateJwkThumbprint,
  CompactSign,
  exportJWK,
  exportPKCS8,
  exportSPKI,
  generateKeyPair,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import type { CryptoKey, GenerateKeyPairResult, JWK, JWTPayload } from 'jose';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseRepositoryName, type RepositoryName } from '../../../src/registry/name.ts';
import { type Caller, mayList, mayRead } from '../../../src/worker/access/caller.ts';
import { AUTHORIZATION_MAX_LENGTH } from '../../../src/worker/access/credentials.ts';
import { identify } from '../../../src/worker/access/identify.ts';
import { KeysUnavailableError, signToken } from '../../../src/worker/access/tokens/jwt.ts';
import { type AccessPolicy, parseAccess } from '../../../src/worker/access/policy.ts';
import { titleOf } from '../../attacks.ts';

const ISSUER = 'https://auth.example';
const AUDIENCE = 'registry.example';
const ORIGIN = 'https://registry.example';
const NOW = new Date('2026-11-24T12:00:00Z');
const SECOND = Math.floor(NOW.getTime() / 1000);
const REALMS = [
  { pattern: 'team-a/*', realm: 'team-a' },
  { pattern: 'team-b/*', realm: 'team-b' },
];
const name = (text: string): RepositoryName => parseRepositoryName(text) ?? expect.fail(text);
const pull = (repository: string, actions: unknown = ['pull'], type = 'repository'): object => ({
  type,
  name: repository,
  actions,
});
const CLAIMS = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'someone',
  exp: SECOND + 300,
  nbf: SECOND,
  iat: SECOND,
  access: [pull('team-a/app')],
};

const policyOf = (keys: object, more: { signingKeys?: string; realms?: object } = {}): AccessPolicy =>
  parseAccess({
    realms: REALMS,
    access: {
      service: AUDIENCE,
      issuers: { auth: { issuer: ISSUER, audience: AUDIENCE, ...keys } },
      realms: more.realms ?? { 'team-a': { issuers: ['auth'] } },
    },
    signingKeys: more.signingKeys,
  });
const ask = (policy: AccessPolicy, token: string): Promise<Caller> =>
  identify(policy, { authorization: `Bearer ${token}`, certificate: null }, ORIGIN, NOW);
const sign = (key: CryptoKey, payload: object = CLAIMS, header: Record<string, unknown> = {}): Promise<string> =>
  new SignJWT(payload as JWTPayload).setProtectedHeader({ alg: 'ES256', ...header }).sign(key);

let es: GenerateKeyPairResult;
let other: GenerateKeyPairResult;
let rs: GenerateKeyPairResult;
let esPem: string;
let rsPem: string;
let policy: AccessPolicy;

beforeAll(async () => {
  es = await generateKeyPair('ES256', { extractable: true });
  other = await generateKeyPair('ES256', { extractable: true });
  rs = await generateKeyPair('RS256', { extractable: true });
  esPem = await exportSPKI(es.publicKey);
  rsPem = await exportSPKI(rs.publicKey);
  policy = policyOf({ pem: [esPem, rsPem] });
});

describe('a token that holds', () => {
  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA', 'Ed25519'])(
    'opens what it names: %s',
    async (alg) => {
      const pair = await generateKeyPair(alg, { extractable: true });
      const token = await sign(pair.privateKey, CLAIMS, { alg });
      for (const keys of [
        { pem: await exportSPKI(pair.publicKey) },
        { jwks: { keys: [await exportJWK(pair.publicKey)] } },
      ]) {
        const caller = await ask(policyOf(keys), token);
        expect(caller).toMatchObject({ standing: 'known', name: 'someone' });
        expect(mayRead(policy, caller, name('team-a/app'))).toBe(true);
        expect(mayRead(policy, caller, name('team-a/application'))).toBe(false);
        expect(mayRead(policy, caller, name('team-a/app/sub'))).toBe(false);
      }
    },
  );

  it('may be for several audiences, and be signed by any of the keys', async () => {
    expect((await ask(policy, await sign(es.privateKey, { ...CLAIMS, aud: ['other', AUDIENCE] }))).standing).toBe(
      'known',
    );
    expect((await ask(policy, await sign(rs.privateKey, CLAIMS, { alg: 'RS256', kid: 'whatever' }))).standing).toBe(
      'known',
    );
    const keys = await Promise.all([es, other].map(({ publicKey }) => exportJWK(publicKey)));
    for (const pair of [es, other])
      expect((await ask(policyOf({ jwks: { keys } }), await sign(pair.privateKey))).standing).toBe('known');
  });

  it('allows for clocks that differ a little', async () => {
    expect((await ask(policy, await sign(es.privateKey, { ...CLAIMS, exp: SECOND - 30 }))).standing).toBe('known');
    expect((await ask(policy, await sign(es.privateKey, { ...CLAIMS, nbf: SECOND + 30 }))).standing).toBe('known');
  });

  it('opens nothing outside the realms that the table gives its issuer', async () => {
    const token = await sign(es.privateKey, { ...CLAIMS, access: [pull('team-a/app'), pull('team-b/app')] });
    const caller = await ask(policy, token);
    expect([...caller.repositories]).toEqual(['team-a/app']);
    expect((await ask(policyOf({ pem: esPem }, { realms: {} }), token)).repositories.size).toBe(0);
  });

  it.each<[string, object[], string[]]>([
    ['all actions', [pull('team-a/app', ['*'])], ['team-a/app']],
    ['push alone', [pull('team-a/app', ['push'])], []],
    ['another type', [pull('team-a/app', ['pull'], 'repository(plugin)')], []],
    ['a pattern, which is no name', [pull('team-a/*')], []],
    ['nothing', [], []],
  ])('opens exactly what its claims say: %s', async (_, access, expected) => {
    expect([...(await ask(policy, await sign(es.privateKey, { ...CLAIMS, access }))).repositories]).toEqual(expected);
  });

  it('for the catalogue lists the issuer’s realms, and pulls nothing', async () => {
    const caller = await ask(
      policy,
      await sign(es.privateKey, { ...CLAIMS, access: [{ type: 'registry', name: 'catalog', actions: ['*'] }] }),
    );
    expect(mayList(policy, caller, name('team-a/app'))).toBe(true);
    expect(mayList(policy, caller, name('team-b/app'))).toBe(false);
    expect(mayRead(policy, caller, name('team-a/app'))).toBe(false);
  });
});

describe(titleOf('token-forged'), () => {
  const forge = (header: object, payload: object, signature = ''): string =>
    [base64url.encode(JSON.stringify(header)), base64url.encode(JSON.stringify(payload)), signature].join('.');
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const hs = (secret: string, header: object = {}): Promise<string> =>
    new CompactSign(encode(JSON.stringify(CLAIMS)))
      .setProtectedHeader({ alg: 'HS256', ...header })
      .sign(encode(secret));

  it.each<[string, () => Promise<string> | string]>([
    ['alg none', () => new UnsecuredJWT(CLAIMS).encode()],
    ['alg None, NONE', () => forge({ alg: 'NONE' }, CLAIMS)],
    [
      'alg none with a signature',
      async () => forge({ alg: 'none' }, CLAIMS, (await sign(es.privateKey)).split('.')[2]),
    ],
    ['no alg', () => forge({}, CLAIMS, 'AAAA')],
    ['an empty signature', () => forge({ alg: 'ES256' }, CLAIMS)],
    ['a signature of zeros', () => forge({ alg: 'ES256' }, CLAIMS, base64url.encode(new Uint8Array(64)))],
    ['HS256 keyed with the RSA public key’s PEM', () => hs(rsPem)],
    ['HS256 keyed with the EC public key’s PEM, trimmed', () => hs(esPem.trim())],
    ['HS256 keyed with the JWK', async () => hs(JSON.stringify(await exportJWK(rs.publicKey)))],
    [
      'HS256 with the right kid',
      async () => hs(rsPem, { kid: await calculateJwkThumbprint(await exportJWK(rs.publicKey)) }),
    ],
    [
      'RS256 in the header of an ES256 signature',
      async () => forge({ alg: 'RS256' }, CLAIMS, (await sign(es.privateKey)).split('.')[2]),
    ],
    ['another audience', () => sign(es.privateKey, { ...CLAIMS, aud: 'other.example' })],
    ['an audience that only contains ours', () => sign(es.privateKey, { ...CLAIMS, aud: `${AUDIENCE}.evil` })],
    ['no audience', () => sign(es.privateKey, { ...CLAIMS, aud: undefined })],
    ['an empty list of audiences', () => sign(es.privateKey, { ...CLAIMS, aud: [] })],
    ['expired', () => sign(es.privateKey, { ...CLAIMS, exp: SECOND - 61 })],
    ['no expiry', () => sign(es.privateKey, { ...CLAIMS, exp: undefined })],
    ['an expiry that is text', () => sign(es.privateKey, { ...CLAIMS, exp: '9999999999' })],
    ['not yet valid', () => sign(es.privateKey, { ...CLAIMS, nbf: SECOND + 61 })],
    ['another issuer', () => sign(es.privateKey, { ...CLAIMS, iss: 'https://evil.example' })],
    ['no issuer', () => sign(es.privateKey, { ...CLAIMS, iss: undefined })],
    ['our own issuer, signed by another', () => sign(es.privateKey, { ...CLAIMS, iss: 'gantry' })],
    ['another key', () => sign(other.privateKey)],
    [
      'another key, put into the header',
      async () => sign(other.privateKey, CLAIMS, { jwk: await exportJWK(other.publicKey) }),
    ],
    ['another key, behind jku', () => sign(other.privateKey, CLAIMS, { jku: 'https://evil.example/jwks' })],
    ['another key, behind x5u', () => sign(other.privateKey, CLAIMS, { x5u: 'https://evil.example/cert' })],
    ['a kid that is a path', () => sign(other.privateKey, CLAIMS, { kid: '../../../../dev/null' })],
    ['a kid that is an inherited name', () => sign(other.privateKey, CLAIMS, { kid: '__proto__' })],
    ['a kid that is no text', () => sign(other.privateKey, CLAIMS, { kid: { toString: 1 } })],
    [
      'an extension that must be understood',
      async () => forge({ alg: 'ES256', crit: ['exp2'], exp2: 1 }, CLAIMS, (await sign(es.privateKey)).split('.')[2]),
    ],
    [
      'changed claims',
      async () =>
        forge(
          { alg: 'ES256' },
          { ...CLAIMS, access: [pull('team-a/other')] },
          (await sign(es.privateKey)).split('.')[2],
        ),
    ],
    ['access that is no list', () => sign(es.privateKey, { ...CLAIMS, access: { 0: pull('team-a/app') } })],
    [
      'access with actions that are text',
      () => sign(es.privateKey, { ...CLAIMS, access: [pull('team-a/app', 'pull')] }),
    ],
    [
      'a payload that is no object',
      async () => (await sign(es.privateKey)).replace(/\.[^.]+\./, `.${base64url.encode('[]')}.`),
    ],
    ['five parts', () => 'a.b.c.d.e'],
    ['dots', () => '...'],
    [
      'longer than anything that is looked at',
      () => sign(es.privateKey, { ...CLAIMS, pad: 'x'.repeat(AUTHORIZATION_MAX_LENGTH) }),
    ],
  ])('%s', async (_, make) => {
    const caller = await ask(policy, await make());
    expect(caller.standing).toBe('refused');
    expect(caller.realms.size + caller.repositories.size + caller.listed.size).toBe(0);
  });

  it('a key of the set by another key’s kid', async () => {
    const keys = await Promise.all(
      [es, other].map(async ({ publicKey }, index) => ({ ...(await exportJWK(publicKey)), kid: String(index) })),
    );
    expect((await ask(policyOf({ jwks: { keys } }), await sign(es.privateKey, CLAIMS, { kid: '0' }))).standing).toBe(
      'known',
    );
    expect((await ask(policyOf({ jwks: { keys } }), await sign(es.privateKey, CLAIMS, { kid: '1' }))).standing).toBe(
      'refused',
    );
    expect((await ask(policyOf({ jwks: { keys } }), await sign(es.privateKey, CLAIMS, { kid: '2' }))).standing).toBe(
      'refused',
    );
  });

  it('an algorithm that the issuer’s table row does not allow', async () => {
    const token = await sign(rs.privateKey, CLAIMS, { alg: 'RS256' });
    expect((await ask(policyOf({ pem: [esPem, rsPem], algorithms: ['ES256'] }), token)).standing).toBe('refused');
  });

  it('one issuer’s token signed with another issuer’s key', async () => {
    const both = parseAccess({
      realms: REALMS,
      access: {
        issuers: {
          a: { issuer: ISSUER, audience: AUDIENCE, pem: esPem },
          b: { issuer: 'https://b.example', audience: AUDIENCE, pem: await exportSPKI(other.publicKey) },
        },
        realms: { 'team-a': { issuers: ['a'] }, 'team-b': { issuers: ['b'] } },
      },
    });
    expect((await ask(both, await sign(other.privateKey))).standing).toBe('refused');
    const fromB = await ask(both, await sign(other.privateKey, { ...CLAIMS, iss: 'https://b.example' }));
    expect(fromB).toMatchObject({ standing: 'known' });
    expect(fromB.repositories.size).toBe(0);
  });
});

describe('a key set at an address', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });
  const serve = (answers: (() => Response)[]): { calls: number } => {
    const counter = { calls: 0 };
    vi.stubGlobal('fetch', () => {
      const answer = answers[Math.min(counter.calls, answers.length - 1)];
      counter.calls++;
      return answer === undefined ? Promise.reject(new TypeError('no network')) : Promise.resolve(answer());
    });
    return counter;
  };
  const set = async (...pairs: [GenerateKeyPairResult, string][]): Promise<() => Response> => {
    const keys: JWK[] = await Promise.all(
      pairs.map(async ([{ publicKey }, kid]) => ({ ...(await exportJWK(publicKey)), kid })),
    );
    return () => Response.json({ keys });
  };

  it('is fetched once and kept', async () => {
    const counter = serve([await set([es, 'a'])]);
    const remote = policyOf({ jwks: 'https://auth.example/jwks' });
    for (let turn = 0; turn < 3; turn++)
      expect((await ask(remote, await sign(es.privateKey, CLAIMS, { kid: 'a' }))).standing).toBe('known');
    expect(counter.calls).toBe(1);
  });

  it('that cannot be had is not taken for a token that does not hold', async () => {
    for (const answers of [
      [],
      [() => new Response('no', { status: 500 })],
      [() => new Response('<html>')],
      [() => Response.json({ keys: 1 })],
    ]) {
      serve(answers);
      await expect(ask(policyOf({ jwks: 'https://auth.example/jwks' }), await sign(es.privateKey))).rejects.toThrow(
        KeysUnavailableError,
      );
    }
  });

  it('is not asked for a token whose issuer is not in the table', async () => {
    const counter = serve([await set([es, 'a'])]);
    await ask(policyOf({ jwks: 'https://auth.example/jwks' }), await sign(es.privateKey, { ...CLAIMS, iss: 'x' }));
    expect(counter.calls).toBe(0);
  });
});

describe('our own tokens', () => {
  const claims = (more: object = {}): Parameters<typeof signToken>[1] => ({
    subject: 'ci',
    audience: AUDIENCE,
    access: [{ type: 'repository', name: 'team-a/app', actions: ['pull'] }],
    realms: [],
    issued: NOW,
    lifetime: 300,
    ...more,
  });

  it('hold while any of the configured keys made them: a new key is put first, the old one taken away later', async () => {
    const [old, fresh] = await Promise.all([es, other].map(({ privateKey }) => exportPKCS8(privateKey)));
    const by = async (pems: (string | undefined)[]): Promise<string> => signToken(pems.join('\n'), claims());
    const standing = async (pems: (string | undefined)[], token: string): Promise<string> =>
      (await ask(policyOf({ pem: rsPem }, { signingKeys: pems.join('\n') }), token)).standing;
    const before = await by([old]);
    const during = await by([fresh, old]);
    expect(await standing([old], before)).toBe('known');
    expect(await standing([fresh, old], before)).toBe('known');
    expect(await standing([fresh, old], during)).toBe('known');
    expect(await standing([fresh], during)).toBe('known');
    expect(await standing([fresh], before)).toBe('refused');
  });

  it('hold for one service, and for their time', async () => {
    const signingKeys = await exportPKCS8(es.privateKey);
    const own = policyOf({ pem: rsPem }, { signingKeys });
    expect((await ask(own, await signToken(signingKeys, claims()))).standing).toBe('known');
    expect((await ask(own, await signToken(signingKeys, claims({ audience: 'other' })))).standing).toBe('refused');
    expect(
      (await ask(own, await signToken(signingKeys, claims({ issued: new Date(NOW.getTime() - 361_000) })))).standing,
    ).toBe('refused');
  });

  it('cannot be made with an issuer’s key, nor an issuer’s with ours', async () => {
    const signingKeys = await exportPKCS8(other.privateKey);
    const own = policyOf({ pem: esPem }, { signingKeys });
    expect((await ask(own, await sign(es.privateKey, { ...CLAIMS, iss: 'gantry' }))).standing).toBe('refused');
    expect((await ask(own, await sign(other.privateKey))).standing).toBe('refused');
  });

  it('list the realms they carry and no others', async () => {
    const signingKeys = await exportPKCS8(es.privateKey);
    const catalogue = [{ type: 'registry', name: 'catalog', actions: ['*'] }];
    const caller = await ask(
      policyOf({ pem: rsPem }, { signingKeys }),
      await signToken(signingKeys, claims({ access: catalogue, realms: ['team-b', 'gone'] })),
    );
    expect([...caller.listed]).toEqual(['team-b']);
    expect(caller.realms.size).toBe(0);
  });
});
