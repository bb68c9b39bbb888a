/**
 * Every endpoint × every kind of caller × public and protected repositories, there and not there, against an oracle
 * that knows the rules and nothing of the code.
 */
import { env } from 'cloudflare:workers';
import { exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { PUBLIC_REALM, parseRealmTable, realmOf, type RealmName } from '../../src/registry/realms.ts';
import { toBase64Url } from '../../src/registry/base64.ts';
import { robotTokenText } from '../../src/registry/robot-token.ts';
import type { Env } from '../../src/worker/config.ts';
import { type Ask, behindCache, CACHE_SETTINGS, certificateOf, comparable, directEdge } from './edge.ts';
import {
  bytesOf,
  manifest,
  nameOf,
  seedBlob,
  seedCatalog,
  seedReferrers,
  seedTag,
  seedTagList,
  type SeededForm,
} from './seed.ts';
import { WorkersCache } from './workers-cache.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const RULES = [
  { pattern: 'team-a/*', realm: 'team-a' },
  { pattern: 'team-b/*', realm: 'team-b' },
];
const TABLE = parseRealmTable(RULES);
const THERE = ['open/image', 'team-a/image', 'team-a/other', 'team-b/image'];
const NAMES = [...THERE, 'open/absent', 'team-a/absent', 'team-b/absent'];
const SHARED = bytesOf('the same layer in every realm');

/** What a caller sends, and what the oracle knows of it. */
interface CallerKind {
  readonly what: string;
  readonly authorization: string | null;
  readonly certificate?: boolean;
  readonly standing: 'nobody' | 'guest' | 'refused' | 'known';
  /** Repositories outside the public realm that it may read. */
  readonly reads: readonly string[];
  /** Realms that it may read whole. */
  readonly realms: readonly string[];
}

let callers: readonly CallerKind[];
let vars: Omit<Env, 'BUCKET'>;
let image: SeededForm | undefined;
const blobs = new Map<string, string>();

const digestOfImage = (): string => image?.digest ?? expect.fail();
const robot = (seed: number): string => robotTokenText(new Uint8Array(32).fill(seed));
const basic = (password: string): string => `Basic ${btoa(`robot:${password}`)}`;

beforeAll(async () => {
  image = await manifest('docker-schema2', 'matrix');
  for (const name of THERE) {
    await seedTag(bucket, name, 'latest', [image]);
    await seedTagList(bucket, name, ['latest']);
    await seedReferrers(bucket, name, image.digest, []);
    const realm = realmOf(TABLE, nameOf(name));
    blobs.set('shared', await seedBlob(bucket, SHARED, realm));
    blobs.set(realm, await seedBlob(bucket, bytesOf(`only in ${realm}`), realm));
  }
  await seedCatalog(bucket, THERE);
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwt = async (access: object[], audience = 'registry.example'): Promise<string> =>
    `Bearer ${await new SignJWT({ access }).setProtectedHeader({ alg: 'ES256' }).setIssuer('https://issuer.example').setAudience(audience).setExpirationTime('5m').sign(privateKey)}`;
  const pull = (name: string): object => ({ type: 'repository', name, actions: ['pull'] });
  const line = async (name: string, realms: string, seed: number, expires = 'never'): Promise<string> =>
    `${name} ${realms} ${expires} sha256:${toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytesOf(robot(seed)))))}`;
  vars = {
    REALMS: RULES,
    ACCESS: {
      service: 'registry.example',
      issuers: {
        one: { issuer: 'https://issuer.example', audience: ['registry.example'], pem: [await exportSPKI(publicKey)] },
      },
      realms: { 'team-a': { issuers: ['one'] }, 'team-b': { certificates: [{ subject: 'OU=team-b' }] } },
    },
    TOKENS: [
      await line('a', 'team-a', 1),
      await line('ab', 'team-a,team-b', 2),
      await line('old', 'team-a', 3, '2026-01-01T00:00:00Z'),
    ].join('\n'),
  };
  const none = { reads: [], realms: [] };
  callers = [
    { what: 'nobody', authorization: null, standing: 'nobody', ...none },
    { what: 'empty Basic', authorization: 'Basic Og==', standing: 'nobody', ...none },
    { what: 'the guest token', authorization: 'Bearer anonymous', standing: 'guest', ...none },
    { what: 'a wrong password', authorization: basic('wrong'), standing: 'refused', ...none },
    { what: 'an expired robot', authorization: basic(robot(3)), standing: 'refused', ...none },
    { what: 'an unknown scheme', authorization: 'Negotiate x', standing: 'refused', ...none },
    { what: 'robot a by Basic', authorization: basic(robot(1)), standing: 'known', reads: [], realms: ['team-a'] },
    {
      what: 'robot a by Bearer',
      authorization: `Bearer ${robot(1)}`,
      standing: 'known',
      reads: [],
      realms: ['team-a'],
    },
    { what: 'robot ab', authorization: basic(robot(2)), standing: 'known', reads: [], realms: ['team-a', 'team-b'] },
    {
      what: 'a JWT for one repository',
      authorization: await jwt([pull('team-a/image')]),
      standing: 'known',
      reads: ['team-a/image'],
      realms: [],
    },
    { what: 'a JWT beyond its issuer', authorization: await jwt([pull('team-b/image')]), standing: 'known', ...none },
    {
      what: 'a JWT for another registry',
      authorization: await jwt([pull('team-a/image')], 'other.example'),
      standing: 'refused',
      ...none,
    },
    {
      what: 'a certificate of team-b',
      authorization: null,
      certificate: true,
      standing: 'known',
      reads: [],
      realms: ['team-b'],
    },
  ];
}, 60_000);

/**
 * Endpoints of a repository: path, and what is answered where it is there and may be read. A page asks a browser's
 * person.
 */
const OF_REPOSITORY: readonly {
  readonly path: (name: string) => string;
  readonly status: number;
  /** Where it is not there; 404 unless set. */
  readonly absent?: number;
  readonly page?: boolean;
  readonly ofRealm?: boolean;
}[] = [
  { path: (name) => `/v2/${name}/manifests/latest`, status: 200 },
  { path: (name) => `/v2/${name}/manifests/${digestOfImage()}`, status: 200 },
  { path: (name) => `/v2/${name}/blobs/${blobs.get('shared') ?? ''}`, status: 200, ofRealm: true },
  { path: (name) => `/v2/${name}/tags/list`, status: 200 },
  { path: (name) => `/v2/${name}/tags/list?n=1`, status: 200 },
  // Of a repository that does not exist, or that the caller may not see, an empty list: the endpoint gives no 404.
  { path: (name) => `/v2/${name}/referrers/${digestOfImage()}`, status: 200, absent: 200 },
  { path: (name) => `/extensions/v2/${name}/signatures/${digestOfImage()}`, status: 200 },
  { path: (name) => `/v1/repositories/${name}/images`, status: 404 },
  { path: (name) => `/r/${name}`, status: 200, page: true },
  { path: (name) => `/r/${name}:none.tar`, status: 404, page: true },
];

interface Expected {
  readonly status: number;
  readonly challenge: 'Bearer' | 'Basic' | null;
  readonly isPrivate: boolean;
}

/** The rules, as docs/explanation/security.md has them. */
function oracle(
  caller: CallerKind,
  name: string,
  { status, absent = 404, page = false, ofRealm = false }: (typeof OF_REPOSITORY)[number],
): Expected {
  const realm = realmOf(TABLE, nameOf(name));
  const presented = caller.standing === 'known' || caller.standing === 'refused';
  // A realm's blobs are those of all its names: which of them a name uses is not asked.
  const found = THERE.includes(name) || ofRealm ? status : absent;
  if (realm === PUBLIC_REALM) return { status: found, challenge: null, isPrivate: presented };
  if (caller.realms.includes(realm) || caller.reads.includes(name))
    return { status: found, challenge: null, isPrivate: true };
  if (caller.standing === 'known') return { status: absent, challenge: null, isPrivate: true };
  return { status: 401, challenge: page ? 'Basic' : 'Bearer', isPrivate: true };
}

describe.each<[string, (options: Parameters<typeof directEdge>[1]) => Ask]>([
  ['straight', (options) => directEdge(bucket, options)],
  [
    'with one cache for all callers',
    (() => {
      const cache = new WorkersCache(CACHE_SETTINGS);
      return (options) => behindCache(bucket, { ...options, vars: { ...options?.vars, BLOB_CACHE: 'on' } }, cache);
    })(),
  ],
])('who may have what, %s', (_, edge) => {
  const askAs = (caller: CallerKind): Ask => {
    const ask = edge({ vars, ...(caller.certificate === true && { cf: certificateOf('CN=host,OU=team-b') }) });
    return (path, init = {}) => {
      const headers = new Headers(init.headers);
      if (!headers.has('accept')) headers.set('accept', '*/*');
      if (caller.authorization !== null) headers.set('authorization', caller.authorization);
      return ask(path, { ...init, headers });
    };
  };

  it('is what the oracle says, for every endpoint of a repository, GET and HEAD', async () => {
    for (const caller of callers) {
      const ask = askAs(caller);
      for (const name of NAMES) {
        for (const endpoint of OF_REPOSITORY) {
          const { path } = endpoint;
          const where = `${caller.what}: ${path(name)}`;
          const expected = oracle(caller, name, endpoint);
          const response = await ask(path(name));
          await response.arrayBuffer();
          expect(response.status, where).toBe(expected.status);
          const challenge = response.headers.get('www-authenticate');
          expect(challenge?.split(' ')[0] ?? null, where).toBe(expected.challenge);
          if (expected.challenge === 'Bearer') expect(challenge, where).toContain(`scope="repository:${name}:pull"`);
          const control = response.headers.get('cache-control') ?? '';
          expect(/private|no-store/.test(control), `${where}: ${control}`).toBe(
            expected.isPrivate || control.includes('no-store'),
          );
          expect(control.includes('public') && expected.isPrivate, where).toBe(false);
          const head = await ask(path(name), { method: 'HEAD' });
          expect([head.status, comparable(head)], where).toEqual([response.status, comparable(response)]);
        }
      }
    }
  }, 120_000);

  it('hides a repository that may not be read behind the very answer of one that is not there', async () => {
    const known = callers.filter(({ standing, realms }) => standing === 'known' && !realms.includes('team-b'));
    for (const caller of known) {
      const ask = askAs(caller);
      for (const { path } of OF_REPOSITORY) {
        const [hidden, absent] = await Promise.all(['team-b/image', 'team-b/absent'].map((name) => ask(path(name))));
        const text = async (response: Response | undefined, name: string): Promise<string> =>
          ((await response?.text()) ?? '').replaceAll(name, 'NAME');
        expect(await text(hidden, 'team-b/image')).toBe(await text(absent, 'team-b/absent'));
        const headers = (response: Response | undefined): unknown =>
          response === undefined
            ? []
            : comparable(response).filter(([name]) => name !== 'content-length' && name !== 'etag');
        expect(headers(hidden)).toEqual(headers(absent));
      }
    }
  });

  it('lists name what the caller may read, and nothing else', async () => {
    for (const caller of callers) {
      const ask = askAs(caller);
      const visible = THERE.filter((name) => {
        const realm = realmOf(TABLE, nameOf(name));
        return realm === PUBLIC_REALM || caller.realms.includes(realm) || caller.reads.includes(name);
      });
      for (const path of [
        '/v2/_catalog',
        '/v2/_catalog?n=100',
        '/v1/search?n=100',
        '/crane/repositories',
        '/crane/repositories/v2',
        '/',
      ]) {
        const response = await ask(path, { headers: { accept: path === '/' ? 'text/html' : 'application/json' } });
        const text = await response.text();
        if (caller.standing === 'refused') {
          expect(response.status, `${caller.what}: ${path}`).toBe(401);
          continue;
        }
        expect(response.status, `${caller.what}: ${path}`).toBe(200);
        expect(response.headers.get('vary'), path).toContain('Authorization');
        expect((response.headers.get('cache-control') ?? '').startsWith('private'), `${caller.what}: ${path}`).toBe(
          caller.standing === 'known',
        );
        for (const name of THERE)
          expect(text.includes(name), `${caller.what}: ${path} names ${name}`).toBe(visible.includes(name));
      }
    }
  }, 60_000);

  it('/v2/ challenges those of whom nothing is known', async () => {
    for (const caller of callers) {
      const response = await askAs(caller)('/v2/');
      const challenged = caller.standing === 'nobody' || caller.standing === 'refused';
      expect(response.status, caller.what).toBe(challenged ? 401 : 200);
      expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    }
  });

  it('what is nobody’s business is open to all', async () => {
    for (const caller of callers)
      for (const path of ['/healthz', '/help/unauthorized', '/v1/_ping'])
        expect((await askAs(caller)(path)).status).not.toBe(401);
  });

  it('a blob of one realm is reached under no name of another, by nobody', async () => {
    for (const caller of callers) {
      const ask = askAs(caller);
      for (const owner of ['public', 'team-a', 'team-b']) {
        for (const name of THERE) {
          const realm: RealmName = realmOf(TABLE, nameOf(name));
          const response = await ask(`/v2/${name}/blobs/${blobs.get(owner) ?? ''}`);
          const may = realm === owner && oracle(caller, name, { path: () => '', status: 200 }).status === 200;
          expect(response.status === 200, `${caller.what}: ${owner}'s blob as ${name}`).toBe(may);
        }
      }
    }
  }, 60_000);

  it('no conditional or ranged question gets around it', async () => {
    for (const caller of callers.filter(({ reads, realms }) => reads.length + realms.length === 0)) {
      const ask = askAs(caller);
      for (const headers of [
        { 'if-none-match': '*' },
        { 'if-none-match': `"${blobs.get('team-a') ?? ''}"` },
        { range: 'bytes=0-0' },
      ]) {
        const { status } = await ask(`/v2/team-a/image/blobs/${blobs.get('team-a') ?? ''}`, { headers });
        expect([401, 404]).toContain(status);
      }
    }
  });

  it('/token gives a token to those who are known, and the guest’s to nobody', async () => {
    for (const caller of callers) {
      const response = await askAs(caller)('/token?service=registry.example&scope=repository:team-a/image:pull');
      expect(response.headers.get('cache-control')).toMatch(/no-store/);
      if (caller.standing === 'refused')
        expect(response.headers.get('www-authenticate'), caller.what).toMatch(/^Basic /);
      else expect((await response.json<{ token: string }>()).token.length, caller.what).toBeGreaterThan(8);
    }
  });
});
