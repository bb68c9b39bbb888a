import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Credentials } from '../../src/origin/auth.ts';
import { readChunks } from '../../src/origin/blob.ts';
import { createRegistryClient, type RegistryClientOptions } from '../../src/origin/client.ts';
import type { RegistryClient } from '../../src/origin/registry-client.ts';
import type { Clock } from '../../src/registry/clock.ts';
import { type Digest, parseDigest } from '../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { parseRepositoryName, parseTag } from '../../src/registry/name.ts';
import type { Reference } from '../../src/registry/reference.ts';
import { type FakeRegistry, type Shown, startFakeRegistry } from './fake-registry.ts';
import { titleOf } from '../attacks.ts';

const NAME = parseRepositoryName('team/app') ?? (undefined as never);
const TAG = { kind: 'tag', tag: parseTag('1') ?? (undefined as never) } satisfies Reference;
const MANIFEST = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'] });
const BASIC: Credentials = { kind: 'basic', username: 'me', password: 'secret' };
const BLOB = Buffer.alloc(100_000, 'a blob. ');

let fake: FakeRegistry;
let now: number;
let slept: number[];

beforeAll(async () => {
  fake = await startFakeRegistry();
});
afterAll(() => fake.close());
beforeEach(() => {
  now = 1_000_000;
  slept = [];
});

const clock: Clock = {
  now: () => now,
  random: () => 0,
  sleep: (milliseconds) => {
    slept.push(milliseconds);
    now += milliseconds;
    return Promise.resolve();
  },
};

function clientOf(options: Partial<RegistryClientOptions> = {}): RegistryClient {
  return createRegistryClient({ baseUrl: fake.registry, userAgent: 'test', clock, ...options });
}

function digestOf(bytes: Uint8Array | string): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`) ?? (undefined as never);
}

const since = async (work: () => Promise<unknown>): Promise<Shown[]> => {
  const from = fake.log.length;
  await work();
  return fake.log.slice(from);
};

/** A registry that wants a token for its scope; tokens are counted, so that each is another. */
function withTokens({ expires, refuse = false }: { expires?: number; refuse?: boolean } = {}): { valid: Set<string> } {
  let issued = 0;
  const valid = new Set<string>();
  fake.answer = ({ to, path, authorization }) => {
    if (to === 'auth') {
      if (refuse) return { status: 401, body: '{"details":"wrong password"}' };
      issued += 1;
      const token = `token-${String(issued)}-${new URL(path, fake.auth).searchParams.get('scope') ?? 'none'}`.replace(
        /[^\w-]/g,
        '-',
      );
      valid.add(`Bearer ${token}`);
      return { body: JSON.stringify({ token, ...(expires === undefined ? {} : { expires_in: expires }) }) };
    }
    if (authorization === undefined || !valid.has(authorization)) {
      const scope = path === '/v2/' ? '' : ',scope="repository:team/app:pull"';
      return {
        status: 401,
        headers: { 'www-authenticate': `Bearer realm="${fake.auth.origin}/token",service="the registry"${scope}` },
      };
    }
    return { headers: { 'content-type': MEDIA_TYPE_OF_FORM['docker-schema2'] }, body: MANIFEST };
  };
  return { valid };
}

describe('Bearer tokens', () => {
  test('are fetched when they are asked for, with the credentials, and used for what they are for', async () => {
    withTokens({ expires: 300 });
    const client = clientOf({ credentials: BASIC });
    const shown = await since(async () => {
      await client.manifest(NAME, TAG);
      await client.manifest(NAME, TAG);
    });
    expect(shown.map(({ to, authorization }) => `${to} ${authorization?.split(' ')[0] ?? 'nothing'}`)).toEqual([
      'registry nothing',
      'auth Basic',
      'registry Bearer',
      'registry Bearer',
    ]);
    const asked = new URL(shown[1]?.path ?? '', fake.auth).searchParams;
    expect([asked.get('service'), asked.get('scope')]).toEqual(['the registry', 'repository:team/app:pull']);
  });

  test(titleOf('upstream-steals-credentials'), async () => {
    const elsewhere = `http://localhost:${fake.auth.port}`;
    fake.answer = ({ to }) =>
      to === 'auth'
        ? { body: '{"token":"x"}' }
        : { status: 401, headers: { 'www-authenticate': `Bearer realm="${elsewhere}/token",service="x"` } };
    for (const credentials of [BASIC, { kind: 'identity-token', token: 'secret' } as const]) {
      const shown = await since(() =>
        expect(clientOf({ credentials }).manifest(NAME, TAG)).rejects.toMatchObject({
          code: 'ORIGIN_POLICY',
          message: expect.stringContaining('GANTRY_TOKEN_SERVICES') as unknown,
        }),
      );
      expect(shown.map(({ to }) => to)).toEqual(['registry']);
      const named = clientOf({ credentials, policy: { tokenServices: [new URL(elsewhere)] } });
      const asked = await since(() => named.manifest(NAME, TAG).catch(() => undefined));
      expect(asked.map(({ to }) => to)).toContain('auth');
    }
  });

  test('of a repository are not shown at /v2/, where Pulp 3 refuses them', async () => {
    withTokens({ expires: 300 });
    const client = clientOf({ credentials: BASIC });
    await client.manifest(NAME, TAG);
    const shown = await since(() => client.ping());
    expect(shown.find(({ path }) => path === '/v2/')?.authorization ?? '').not.toContain('repository');
    expect(shown.at(-1)?.authorization).toMatch(/^Bearer token-\d+-none$/);
  });

  test('are fetched anew before they end', async () => {
    withTokens({ expires: 60 });
    const client = clientOf({ credentials: BASIC });
    await client.manifest(NAME, TAG);
    now += 55_000;
    const shown = await since(() => client.manifest(NAME, TAG));
    expect(shown.map(({ to }) => to)).toEqual(['auth', 'registry']);
  });

  test('that the registry does not take any more are fetched anew', async () => {
    const { valid } = withTokens({ expires: 3600 });
    const client = clientOf({ credentials: BASIC });
    await client.manifest(NAME, TAG);
    valid.clear();
    expect((await client.manifest(NAME, TAG)).kind).toBe('manifest');
  });

  test('are fetched once for many requests at once', async () => {
    withTokens({ expires: 300 });
    const client = clientOf({ credentials: BASIC });
    await client.manifest(NAME, TAG);
    now += 400_000;
    const shown = await since(() => Promise.all(Array.from({ length: 20 }, () => client.manifest(NAME, TAG))));
    expect(shown.filter(({ to }) => to === 'auth')).toHaveLength(1);
  });

  test('come for a refresh token by POST, and an access token is sent as it is', async () => {
    const { valid } = withTokens({ expires: 300 });
    const shown = await since(() =>
      clientOf({ credentials: { kind: 'identity-token', token: 'refresh' } }).manifest(NAME, TAG),
    );
    expect(shown[1]).toMatchObject({ to: 'auth', method: 'POST', authorization: undefined });
    expect(new URLSearchParams(shown[1]?.body).get('refresh_token')).toBe('refresh');
    valid.add('Bearer mine');
    const direct = await since(() =>
      clientOf({ credentials: { kind: 'registry-token', token: 'mine' } }).manifest(NAME, TAG),
    );
    expect(direct.map(({ to }) => to)).toEqual(['registry', 'registry']);
  });

  test('that are refused say so, and are not asked for again and again', async () => {
    withTokens({ refuse: true });
    const from = fake.log.length;
    await expect(clientOf({ credentials: BASIC }).manifest(NAME, TAG)).rejects.toMatchObject({
      code: 'ORIGIN_UNAUTHORIZED',
      message: expect.stringMatching(/refuses the credentials.*wrong password/) as string,
    });
    expect(fake.log.slice(from).map(({ to }) => to)).toEqual(['registry', 'auth']);
  });
});

test('a redirect to other storage is followed without credentials', async () => {
  const digest = digestOf(BLOB);
  fake.answer = ({ to, authorization }) => {
    if (to === 'storage') return { body: BLOB };
    if (authorization === undefined) return { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
    return { status: 307, headers: { location: `${fake.storage.origin}/presigned?signature=1` } };
  };
  const shown = await since(async () => {
    const blob = await clientOf({ credentials: BASIC }).blob(NAME, digest);
    if (blob.kind === 'blob') await new Response(blob.body).arrayBuffer();
  });
  expect(shown.map(({ to, authorization }) => `${to} ${authorization?.split(' ')[0] ?? 'nothing'}`)).toEqual([
    'registry nothing',
    'registry Basic',
    'storage nothing',
  ]);
});

test('a 401 of other storage is not answered with our credentials', async () => {
  fake.answer = ({ to }) =>
    to === 'storage'
      ? { status: 401, headers: { 'www-authenticate': 'Basic realm="give me"' } }
      : { status: 307, headers: { location: `${fake.storage.origin}/x` } };
  const from = fake.log.length;
  await expect(clientOf({ credentials: BASIC }).manifest(NAME, TAG)).rejects.toMatchObject({
    code: 'ORIGIN_UNAUTHORIZED',
  });
  expect(fake.log.slice(from).every(({ authorization }) => authorization === undefined)).toBe(true);
});

test('tags are read over pages, an empty last one included, and circles are seen', async () => {
  const page = (tags: readonly string[], next?: string) => ({
    headers: next === undefined ? {} : { link: `<${next}>; rel="next"` },
    body: JSON.stringify({ tags }),
  });
  fake.answer = ({ path }) => {
    const last = new URL(path, fake.registry).searchParams.get('last');
    if (last === null) return page(['a', 'b'], '/v2/team/app/tags/list?last=b');
    if (last === 'b') return page(['c', 'not a tag'], 'http://127.0.0.1/v2/team/app/tags/list?last=c');
    return page([], undefined);
  };
  expect(await clientOf().tags(NAME)).toEqual({ kind: 'tags', tags: ['a', 'b', 'c'] });
  fake.answer = () => page(['a'], '/v2/team/app/tags/list?last=a');
  await expect(clientOf().tags(NAME)).rejects.toMatchObject({ code: 'ORIGIN_PROTOCOL' });
  fake.answer = () => page(['a'], 'http://other.example/v2/');
  await expect(clientOf().tags(NAME)).rejects.toMatchObject({ code: 'ORIGIN_POLICY' });
});

test('referrers come from the API, or from the fallback tag where the registry has none', async () => {
  const subject = digestOf('subject');
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['oci-index'],
    manifests: [{ mediaType: 'a/b', digest: digestOf('sig'), size: 3 }],
  });
  const headers = { 'content-type': MEDIA_TYPE_OF_FORM['oci-index'] };
  fake.answer = ({ path }) => (path.endsWith(`/referrers/${subject}`) ? { headers, body: index } : undefined);
  expect(await clientOf().referrers(NAME, subject)).toMatchObject([{ digest: digestOf('sig') }]);
  fake.answer = ({ path }) =>
    path.endsWith(`/manifests/${subject.replace(':', '-')}`) ? { headers, body: index } : undefined;
  expect(await clientOf().referrers(NAME, subject)).toMatchObject([{ digest: digestOf('sig') }]);
  fake.answer = () => undefined;
  expect(await clientOf().referrers(NAME, subject)).toEqual([]);
});

describe('what an upstream says is believed only if it is true', () => {
  test.each<[string, { headers?: Record<string, string>; body: string }]>([
    [
      'another manifest than its digest header',
      { headers: { 'docker-content-digest': digestOf('other') }, body: MANIFEST },
    ],
    ['a web page', { body: '<html>' }],
    ['a list where an object should be', { body: '[]' }],
  ])('not %s', async (_, { headers = {}, body }) => {
    fake.answer = () => ({ headers: { 'content-type': 'application/json', ...headers }, body });
    await expect(clientOf().manifest(NAME, TAG)).rejects.toMatchObject({ code: 'ORIGIN_PROTOCOL' });
  });

  test('not another manifest than the digest it was asked for by', async () => {
    fake.answer = () => ({ body: MANIFEST });
    await expect(clientOf().manifest(NAME, { kind: 'digest', digest: digestOf('x') })).rejects.toMatchObject({
      code: 'ORIGIN_PROTOCOL',
    });
  });

  test('not a token response, token or error body without end', async () => {
    const tokens = withTokens();
    const asRegistry = fake.answer;
    for (const token of ['t'.repeat(16 * 1024 + 1), `${' '.repeat(1024 * 1024)}t`]) {
      fake.answer = (shown) => (shown.to === 'auth' ? { body: JSON.stringify({ token }) } : asRegistry(shown));
      await expect(clientOf({ credentials: BASIC }).manifest(NAME, TAG)).rejects.toMatchObject({
        code: 'ORIGIN_LIMIT',
      });
    }
    expect(tokens.valid.size).toBe(0);
    const body = `${JSON.stringify({ errors: [{ code: 'NAME_UNKNOWN' }] })}${' '.repeat(64 * 1024)}`;
    fake.answer = () => ({ status: 404, body });
    await expect(clientOf().manifest(NAME, TAG)).rejects.toMatchObject({ code: 'ORIGIN_PROTOCOL', status: 404 });
  });

  test('not a manifest of more than 4 MiB', async () => {
    fake.answer = () => ({ body: MANIFEST + ' '.repeat(4 * 1024 * 1024) });
    await expect(clientOf().manifest(NAME, TAG)).rejects.toMatchObject({ code: 'ORIGIN_LIMIT' });
  });

  test('not a document without end', async () => {
    fake.answer = () => ({ body: 'x'.repeat(100_000) });
    await expect(clientOf({ policy: { maxDocument: 10_000 } }).manifest(NAME, TAG)).rejects.toMatchObject({
      code: 'ORIGIN_LIMIT',
    });
  });
});

describe('reading a blob', () => {
  const body = (
    first: Uint8Array,
    then: (controller: ReadableStreamDefaultController<Uint8Array>) => void = () => undefined,
  ) =>
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(first);
        then(controller);
      },
    });
  const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<number> => {
    let length = 0;
    for await (const chunk of chunks) length += chunk.length;
    return length;
  };

  test('ends with it', async () => {
    const whole = body(Buffer.from('abc'), (controller) => controller.close());
    expect(await collect(readChunks(whole, { url: fake.registry, idle: 60_000 }))).toBe(3);
  });

  test('fails where nothing comes for too long, and lets the connection go', async () => {
    let cancelled = false;
    const silent = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from('abc')),
      cancel: () => void (cancelled = true),
    });
    await expect(collect(readChunks(silent, { url: fake.registry, idle: 20 }))).rejects.toMatchObject({
      code: 'ORIGIN_UNAVAILABLE',
      message: expect.stringMatching(/sent nothing for 0\.02 s/) as string,
    });
    expect(cancelled).toBe(true);
  });

  test('ends at once when it is called off', async () => {
    const stop = new AbortController();
    const reading = collect(
      readChunks(body(Buffer.from('abc')), { url: fake.registry, idle: 60_000, signal: stop.signal }),
    );
    stop.abort(new Error('called off'));
    await expect(reading).rejects.toThrow('called off');
  });
});

describe('asking again', () => {
  test('helps after 503 and 429, as late as Retry-After says; a 404 is an answer', async () => {
    let count = 0;
    fake.answer = () => {
      count += 1;
      if (count === 1) return { status: 503 };
      if (count === 2) return { status: 429, headers: { 'retry-after': '7' } };
      return { body: MANIFEST };
    };
    expect((await clientOf().manifest(NAME, TAG)).kind).toBe('manifest');
    expect(slept[0]).toBeGreaterThan(0);
    expect(slept[1]).toBeGreaterThanOrEqual(7_000);
    fake.answer = () => undefined;
    slept = [];
    expect(await clientOf().manifest(NAME, TAG)).toEqual({ kind: 'not-found', code: 'NAME_UNKNOWN', message: 'no' });
    expect(slept).toEqual([]);
  });

  test('is given up after the policy’s attempts', async () => {
    fake.answer = () => ({ status: 500 });
    const shown = await since(() =>
      expect(clientOf().manifest(NAME, TAG)).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE', status: 500 }),
    );
    expect(shown).toHaveLength(4);
  });
});
