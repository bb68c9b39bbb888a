import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { deployConfigOf } from '../../../src/publisher/deploy/deploy-config.ts';
import { type AccountFacts, preflight } from '../../../src/publisher/deploy/preflight.ts';
import { readBucket, readBucketRealms, readSecrets } from '../../../src/publisher/deploy/wrangler.ts';

const OWN = await readFile(new URL('../../../wrangler.toml', import.meta.url), 'utf8');
const ROUTED = `routes = [{ pattern = "registry.example.com", custom_domain = true }]\n${OWN}`;
const ACCOUNT: AccountFacts = {
  accounts: [{ id: 'a1', name: 'Example' }],
  hasBucket: true,
  secrets: ['PURGE_TOKEN'],
  errors: {},
};

const missing = (toml: string, account: AccountFacts | null, chosen?: string): readonly string[] =>
  preflight(deployConfigOf(parse(toml)), account, chosen).flatMap(({ kind, what }) =>
    kind === 'missing' ? [what] : [],
  );
const todos = (toml: string, account: AccountFacts | null): string =>
  preflight(deployConfigOf(parse(toml)), account, undefined)
    .map(({ todo }) => todo ?? '')
    .join('\n');

describe('the preflight', () => {
  it('has nothing to say where everything is there', () => {
    const points = preflight(deployConfigOf(parse(ROUTED)), ACCOUNT, undefined);
    expect(points.map(({ kind }) => kind)).toEqual(points.map(() => 'there'));
  });

  it.each<[string, string, AccountFacts | null, string | undefined, string]>([
    ['a login', ROUTED, null, undefined, 'no login at Cloudflare'],
    [
      'the account, where the login has several',
      ROUTED,
      { ...ACCOUNT, accounts: [...ACCOUNT.accounts, { id: 'b2', name: 'Other' }] },
      undefined,
      'the login has several accounts',
    ],
    ['an account that the login has', ROUTED, ACCOUNT, 'c3', 'the login has no account c3'],
    ['any account', ROUTED, { ...ACCOUNT, accounts: [] }, undefined, 'the login has no account'],
    ['the bucket', ROUTED, { ...ACCOUNT, hasBucket: false }, undefined, 'the bucket gantry does not exist'],
    [
      'the binding of the bucket',
      ROUTED.replace('"BUCKET"', '"OTHER"'),
      ACCOUNT,
      undefined,
      'no R2 bucket with the binding BUCKET',
    ],
    ['an address', OWN, ACCOUNT, undefined, 'no address: the Worker could not be reached'],
    [
      'the realms that the bucket was written with',
      ROUTED,
      { ...ACCOUNT, bucketRealms: ['team-a', 'team-b'] },
      undefined,
      'REALMS is empty, but the bucket was written with the protected realms team-a, team-b',
    ],
    [
      'the secret that opens a protected realm',
      `${ROUTED}\n[vars]\nREALMS = '[{"pattern":"a/*","realm":"a"}]'\n`,
      ACCOUNT,
      undefined,
      'no secret TOKENS: no client could read the protected realm a',
    ],
    [
      'a secret that blob delivery needs',
      `${ROUTED}\n[vars]\nBLOB_DELIVERY = { mode = "presigned", endpoint = "https://x", bucket = "gantry" }\n`,
      { ...ACCOUNT, secrets: ['PURGE_TOKEN', 'R2_ACCESS_KEY_ID'] },
      undefined,
      'no secret R2_SECRET_ACCESS_KEY, which BLOB_DELIVERY presigned needs',
    ],
    [
      'the binding of a client certificate',
      `${ROUTED}\n[[vars.ORIGINS]]\nname = "pulp"\npattern = "*"\nupstream = "https://x"\ncertificate = "PULP_CERTIFICATE"\n`,
      ACCOUNT,
      undefined,
      'no binding PULP_CERTIFICATE, the client certificate that the rule "pulp" of ORIGINS presents to its upstream',
    ],
    [
      'room in a variable: Cloudflare takes 5 KB',
      `${ROUTED}\n[vars]\nORIGINS = "${'x'.repeat(5_001)}"\n`,
      ACCOUNT,
      undefined,
      'the variable ORIGINS has 5001 bytes; the limit of Cloudflare is 5,000',
    ],
    [
      'what tells versions apart, where they share the cache',
      ROUTED.replace(/\[version_metadata\]\nbinding = "VERSION"/, ''),
      ACCOUNT,
      undefined,
      'no binding VERSION: with cross_version_cache, lists of the old version would be served after a change of REALMS',
    ],
    [
      'the variables of an environment, which Wrangler does not inherit',
      `${ROUTED}\n[vars]\nLOG = "failures"\n[env.staging]\nname = "gantry-staging"\n`,
      ACCOUNT,
      undefined,
      'the environment staging has no variables: Wrangler does not inherit [vars], so REALMS would be lost',
    ],
    [
      'the bucket in its jurisdiction',
      ROUTED.replace('bucket_name = "gantry"', 'bucket_name = "gantry"\njurisdiction = "eu"'),
      { ...ACCOUNT, hasBucket: false },
      undefined,
      'the bucket gantry does not exist in the jurisdiction eu',
    ],
  ])('names what is missing: %s', (_, toml, account, chosen, what) => {
    expect(missing(toml, account, chosen)).toEqual([what]);
  });

  it('says at the first deployment that an existing DNS record is replaced, and that preview URLs are on', () => {
    const advice = (toml: string, account: AccountFacts): readonly string[] =>
      preflight(deployConfigOf(parse(toml)), account, undefined).flatMap(({ kind, what }) =>
        kind === 'advice' ? [what] : [],
      );
    expect(advice(ROUTED, { ...ACCOUNT, secrets: [] })).toContain(
      'an existing DNS record of registry.example.com is replaced',
    );
    expect(advice(ROUTED.replace('preview_urls = false', ''), ACCOUNT)).toEqual([
      'preview URLs are not switched off: each version could be reached at an address of its own',
    ]);
  });

  it('stops where Cloudflare refuses to show the Worker, and goes on where it only does not show the bucket', () => {
    const error = { code: 10_000, message: 'Authentication error' };
    expect(missing(ROUTED, { ...ACCOUNT, secrets: null, errors: { secrets: error } })).toEqual([
      'Cloudflare refuses the login, or it lacks a permission (Cloudflare answers: Authentication error [code: 10000])',
    ]);
    expect(missing(ROUTED, { ...ACCOUNT, hasBucket: null, errors: { bucket: error } })).toEqual([]);
    // A token for one account may not be allowed to list accounts.
    const noList = { ...ACCOUNT, accounts: [], errors: { login: error } };
    expect(missing(ROUTED, noList, 'a1')).toEqual([]);
    expect(missing(ROUTED, { ...noList, secrets: null })).toHaveLength(1);
  });

  it('looks at the account that Wrangler uses: the one of the file before CLOUDFLARE_ACCOUNT_ID', () => {
    expect(missing(`account_id = "a1"\n${ROUTED}`, ACCOUNT, 'c3')).toEqual([]);
    expect(missing(`account_id = "c3"\n${ROUTED}`, ACCOUNT, 'a1')).toEqual(['the login has no account c3']);
  });

  it('takes PUBLIC_URL for an address that another program attaches', () => {
    expect(missing(`${OWN}\n[vars]\nPUBLIC_URL = "https://registry.example.com"\n`, ACCOUNT)).toEqual([]);
  });

  it('says what filling repositories from other registries needs, unless [limits] are set', () => {
    const advice = (toml: string): readonly string[] =>
      preflight(deployConfigOf(parse(toml)), ACCOUNT, undefined).flatMap(({ kind, todo }) =>
        kind === 'advice' && todo !== undefined ? [todo] : [],
      );
    const filled = `${ROUTED}\n[vars]\nORIGINS = '[]'\n`;
    expect(advice(filled)).toEqual([expect.stringMatching(/Workers Paid.*cpu_ms = 300_000/)]);
    expect(advice(`${filled}\n[limits]\ncpu_ms = 300_000\n`)).toEqual([]);
  });

  it('does without TOKENS where somebody else opens the realm', () => {
    const toml = `${ROUTED}\n[vars]\nREALMS = '[{"pattern":"a/*","realm":"a"}]'\n[vars.ACCESS.realms.a]\ncertificates = [{ fingerprint = "ab" }]\n`;
    expect(missing(toml, ACCOUNT)).toEqual([]);
  });

  it('takes a chosen account of several', () => {
    expect(missing(ROUTED, { ...ACCOUNT, accounts: [...ACCOUNT.accounts, { id: 'b2', name: 'Other' }] }, 'b2')).toEqual(
      [],
    );
  });

  it('says with which command each is mended', () => {
    expect(todos(ROUTED, null)).toContain('CLOUDFLARE_API_TOKEN');
    expect(todos(OWN, { ...ACCOUNT, hasBucket: false, secrets: [] })).toMatch(
      /custom_domain = true[^]*wrangler secret put PURGE_TOKEN/,
    );
    expect(todos(ROUTED, { ...ACCOUNT, hasBucket: false })).toContain('wrangler r2 bucket create gantry');
  });

  it('only advises where the Worker would run all the same', () => {
    const uncached = ROUTED.replace(/\[cache\]\nenabled = true\ncross_version_cache = true/, '');
    const points = preflight(deployConfigOf(parse(uncached)), { ...ACCOUNT, secrets: [] }, undefined);
    expect(points.filter(({ kind }) => kind === 'advice')).toHaveLength(3);
    expect(points.some(({ kind }) => kind === 'missing')).toBe(false);
  });
});

describe('the limit of fills', () => {
  const vars = `[vars]\nORIGINS = '[{"name":"up","pattern":"*","upstream":"https://up.example"}]'\n`;
  const advice = (toml: string): readonly string[] =>
    preflight(deployConfigOf(parse(toml)), ACCOUNT, undefined).flatMap(({ kind, what }) =>
      kind === 'advice' && what.includes('FILL_LIMITER') ? [what] : [],
    );

  it('is advised where upstreams fill repositories', () => {
    expect(advice(`${ROUTED}\n${vars}`)).toEqual([]);
    expect(advice(`${ROUTED.replace('"FILL_LIMITER"', '"OTHER"')}\n${vars}`)).toEqual([
      expect.stringContaining('no FILL_LIMITER'),
    ]);
    expect(advice(ROUTED.replace('"FILL_LIMITER"', '"OTHER"'))).toEqual([]);
  });
});

describe('what Wrangler says', () => {
  it('tells an absent bucket from one that could not be asked for', () => {
    expect(readBucket({ code: 0, stdout: '{"name":"gantry"}', stderr: '' })).toBe(true);
    expect(readBucket({ code: 1, stdout: '', stderr: 'The specified bucket does not exist. [code: 10006]' })).toBe(
      false,
    );
    expect(readBucket({ code: 1, stdout: '', stderr: 'fetch failed' })).toBeNull();
  });

  it('gives the names of secrets, none for a Worker that is not there yet, and null where it could not be asked', () => {
    expect(
      readSecrets({ code: 0, stdout: 'A notice\n[{"name":"PURGE_TOKEN","type":"secret_text"}]\n', stderr: '' }),
    ).toEqual(['PURGE_TOKEN']);
    expect(
      readSecrets({ code: 1, stdout: '', stderr: 'This Worker does not exist on your account. [code: 10007]' }),
    ).toEqual([]);
    expect(readSecrets({ code: 1, stdout: '', stderr: 'fetch failed' })).toBeNull();
  });

  it('of the realms in the bucket’s record', () => {
    const format = '{"version":1,"realms":["team"]}\n';
    expect(readBucketRealms({ code: 0, stdout: format, stderr: '' })).toEqual(['team']);
    expect(readBucketRealms({ code: 0, stdout: '{"version":1}', stderr: '' })).toEqual([]);
    expect(readBucketRealms({ code: 0, stdout: 'no JSON', stderr: '' })).toBeNull();
    expect(readBucketRealms({ code: 1, stdout: '', stderr: 'The specified key does not exist.' })).toBeNull();
  });
});

describe('pull statistics', () => {
  const COUNTED = `${ROUTED}\n[[analytics_engine_datasets]]\nbinding = "PULLS"\ndataset = "gantry_pulls"\n`;
  const points = (toml: string, account: AccountFacts | null): readonly string[] =>
    preflight(deployConfigOf(parse(toml)), account, undefined)
      .map(({ kind, what }) => `${kind}: ${what}`)
      .filter((text) => /pull|ANALYTICS/.test(text));

  it('are wired by the binding, and the pages need a secret', () => {
    expect(points(ROUTED, ACCOUNT)).toEqual([]);
    expect(points(COUNTED, ACCOUNT)).toEqual([
      'there: pulls are counted in the dataset gantry_pulls',
      'advice: no secret ANALYTICS_TOKEN: the pages show no pull statistics',
    ]);
    expect(points(COUNTED, { ...ACCOUNT, secrets: ['PURGE_TOKEN', 'ANALYTICS_TOKEN'] })[1]).toMatch(/^there/);
    expect(deployConfigOf(parse('[[analytics_engine_datasets]]\nbinding = "PULLS"')).pullDataset).toBe('PULLS');
    expect(() => deployConfigOf(parse(COUNTED.replaceAll('gantry_pulls', 'a; DROP')))).toThrow(/not a valid name/);
  });
});
