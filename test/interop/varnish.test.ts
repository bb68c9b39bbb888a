/**
 * A standard HTTP cache in front: real Varnish, which keeps what it may and honours Vary, before the local registry.
 * Old and new clients ask for tags and digests in random order; nobody may get a form that it cannot read, and nobody
 * without credentials a byte of what is protected.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalServer, startServer } from '../../src/publisher/local/server.ts';
import { blobKey, CATALOG_KEY, manifestKey, tagKey, tagListKey } from '../../src/registry/keys.ts';
import { type Digest, parseDigest } from '../../src/registry/digest.ts';
import { type Form, MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { parseRepositoryName, parseTag, type RepositoryName } from '../../src/registry/name.ts';
import { parseRealmTable, realmOf } from '../../src/registry/realms.ts';
import { encodeTag, type TagForm } from '../../src/registry/records.ts';
import { toBase64Url } from '../../src/registry/base64.ts';
import { robotTokenText } from '../../src/registry/robot-token.ts';
import { encodeSortedList } from '../../src/registry/sorted-list.ts';
import { end, freePort, missingPrograms, titleWith, until } from './programs.ts';

const missing = missingPrograms('varnishd');
const REQUESTS = 10_000;
/** Seconds after which a moved tag must be seen through a cache: the lifetime of tags. */
const TAG_LIFETIME = 60;
const RULES = [{ pattern: 'team-a/*', realm: 'team-a' }];
const TABLE = parseRealmTable(RULES);
const TOKEN = robotTokenText(new Uint8Array(32).fill(7));
const SECRET = 'only for team a';

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

interface Stored {
  readonly digest: Digest;
  readonly bytes: Buffer;
}

const agent = new Agent({ keepAlive: true, maxSockets: 16 });
let server: LocalServer | undefined;
let folder: string;
let varnish: ReturnType<typeof spawn> | undefined;
let port: number;
/**
 * When the tag `moved` moved, in milliseconds since the epoch: at the beginning, so that its lifetime passes while the
 * other tests run.
 */
let movedAt: number;

function get(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

const serving = (): LocalServer => server ?? expect.fail('no server');
const sha256 = (bytes: Uint8Array): Digest =>
  parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`) ?? expect.fail();
const nameOf = (text: string): RepositoryName => parseRepositoryName(text) ?? expect.fail(text);
const made = (form: Form, salt: string): Stored => {
  const bytes = Buffer.from(JSON.stringify({ form, salt, padding: 'x'.repeat(500) }));
  return { digest: sha256(bytes), bytes };
};

async function putTag(name: string, tag: string, forms: readonly (readonly [Form, Stored, string?])[]): Promise<void> {
  const { store } = serving().target;
  let offset = 0;
  const root = forms[0]?.[1].digest ?? expect.fail();
  const rows = forms.map(([form, { digest, bytes }, architecture], index): TagForm => {
    const row: TagForm = {
      form,
      mediaType: MEDIA_TYPE_OF_FORM[form],
      digest,
      offset,
      length: bytes.length,
      source: index === 0 ? { kind: 'published' } : { kind: 'derived', from: root },
      ...(architecture !== undefined && { platform: { os: 'linux', architecture } }),
    };
    offset += bytes.length;
    return row;
  });
  for (const [form, { digest, bytes }] of forms)
    await store.put(manifestKey(nameOf(name), digest), bytes, { contentType: MEDIA_TYPE_OF_FORM[form] });
  const { body, metadata } = encodeTag(
    { updated: '2026-01-01T00:00:00Z', forms: rows, missing: [] },
    forms.map(([, { bytes }]) => bytes),
  );
  await store.put(tagKey(nameOf(name), parseTag(tag) ?? expect.fail(tag)), body, {
    contentType: 'application/octet-stream',
    metadata,
  });
}

async function putList(key: string, names: readonly string[]): Promise<void> {
  const { body, metadata } = encodeSortedList(names.map((name) => ({ name, detail: null })));
  await serving().target.store.put(key, body, { contentType: 'application/json', metadata });
}

/** A client: what it sends, and which of a tag's forms it must get. */
interface ClientKind {
  readonly what: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly single: Form;
  readonly list: readonly [Form, string?];
}

const type = (form: Form): string => MEDIA_TYPE_OF_FORM[form];
const NEW = [
  type('oci-manifest'),
  type('docker-schema2'),
  type('docker-list'),
  type('oci-index'),
  type('docker-schema1'),
  'application/json',
];
const CLIENTS: readonly ClientKind[] = [
  // Docker sends its types in a rotating order.
  ...NEW.map((_, turn): ClientKind => ({
    what: `docker 28, turn ${String(turn)}`,
    headers: {
      accept: [...NEW.slice(turn), ...NEW.slice(0, turn)].join(', '),
      'user-agent': 'docker/28.1.1 go/go1.23.8 os/linux arch/amd64',
    },
    single: 'docker-schema2',
    list: ['docker-list'],
  })),
  {
    what: 'schema 2 alone',
    headers: { accept: type('docker-schema2'), 'user-agent': 'skopeo/1.9.3' },
    single: 'docker-schema2',
    list: ['docker-schema2', 'amd64'],
  },
  {
    what: 'curl',
    headers: { accept: '*/*', 'user-agent': 'curl/8.0' },
    single: 'docker-schema2',
    list: ['docker-list'],
  },
  {
    what: 'docker 1.9 on amd64',
    headers: { 'user-agent': 'docker/1.9.1 go/go1.4.3 os/linux arch/amd64' },
    single: 'docker-schema1',
    list: ['docker-schema1', 'amd64'],
  },
  {
    what: 'docker 1.6 on arm',
    headers: { 'user-agent': 'docker/1.6.2 go/go1.4.2 os/linux arch/arm' },
    single: 'docker-schema1',
    list: ['docker-schema1', 'arm'],
  },
  { what: 'nothing at all', headers: {}, single: 'docker-schema1', list: ['docker-schema1', 'amd64'] },
];

/** Linear congruence: the same order in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** A tag that has moved and of which nothing was purged, and one that is purged as it moves. */
const MOVED = { before: 'moved, before', after: 'moved, after' };
const PURGED = { before: 'purged, before', after: 'purged, after' };
const putSingle = async (tag: string, salt: string): Promise<void> => {
  const forms = single(salt);
  await putTag('open/image', tag, [
    ['docker-schema2', forms['docker-schema2']],
    ['docker-schema1', forms['docker-schema1']],
  ]);
};
/** Which of two images each kind of client gets by a tag, with GET and HEAD. */
async function seenBy(
  tag: string,
  { before, after }: typeof MOVED,
): Promise<readonly ('before' | 'after' | 'neither')[]> {
  const asked = CLIENTS.flatMap((client) => ['GET', 'HEAD'].map((method) => ({ client, method })));
  return Promise.all(
    asked.map(async ({ client, method }) => {
      const digest = (await get(`/v2/open/image/manifests/${tag}`, client.headers, method)).headers[
        'docker-content-digest'
      ];
      const of = (salt: string): Digest => single(salt)[client.single as 'docker-schema2'].digest;
      return digest === of(before) ? 'before' : digest === of(after) ? 'after' : 'neither';
    }),
  );
}

const single = (tag: string) => ({
  'docker-schema2': made('docker-schema2', tag),
  'docker-schema1': made('docker-schema1', tag),
});
const TAGS = Array.from({ length: 8 }, (_, index) => `v${String(index)}`);
const LIST = {
  list: made('docker-list', 'list'),
  child: made('docker-schema2', 'child'),
  amd64: made('docker-schema1', 'amd64'),
  arm: made('docker-schema1', 'arm'),
};
const BLOB = Buffer.from(Array.from({ length: 50_000 }, (_, index) => index % 251));

describe.skipIf(missing.length > 0)(titleWith('Varnish in front', missing), () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-varnish-'));
    const hash = toBase64Url(new Uint8Array(createHash('sha256').update(TOKEN).digest()));
    const vars = {
      LOG: 'failures',
      REALMS: JSON.stringify(RULES),
      ACCESS: '{"login":"bearer"}',
      TOKENS: `ci team-a never sha256:${hash}`,
    };
    server = await startServer({ port: 0, state: join(folder, 'state'), vars });
    for (const tag of TAGS) await putSingle(tag, tag);
    await putSingle('moved', MOVED.before);
    await putSingle('purged', PURGED.before);
    await putTag('open/image', 'list', [
      ['docker-list', LIST.list],
      ['docker-schema2', LIST.child, 'amd64'],
      ['docker-schema1', LIST.amd64, 'amd64'],
      ['docker-schema1', LIST.arm, 'arm'],
    ]);
    await putTag('team-a/image', 'latest', [['docker-schema2', made('docker-schema2', SECRET)]]);
    const { store } = serving().target;
    for (const [name, bytes] of [
      ['open/image', BLOB],
      ['team-a/image', Buffer.from(SECRET)],
    ] as const) {
      await store.put(blobKey(realmOf(TABLE, nameOf(name)), sha256(bytes)), bytes, {
        contentType: 'application/octet-stream',
      });
    }
    await putList(tagListKey(nameOf('open/image')), [...TAGS, 'list']);
    await putList(tagListKey(nameOf('team-a/image')), ['latest']);
    await putList(CATALOG_KEY, ['open/image', 'team-a/image']);
    port = await freePort();
    const { port: backend } = new URL(serving().url);
    // Varnish does not keep answers to requests with credentials unless told; here it looks at them, and must find by
    // the headers alone what it may keep.
    const vcl = `vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "${backend}"; }
sub vcl_recv { if (req.method == "PURGE") { return (purge); } if (req.method == "GET" || req.method == "HEAD") { return (hash); } }
sub vcl_deliver { if (obj.hits > 0) { set resp.http.x-cache = "hit"; } else { set resp.http.x-cache = "miss"; } }
`;
    await writeFile(join(folder, 'gantry.vcl'), vcl);
    const options = [
      '-a',
      `127.0.0.1:${String(port)}`,
      '-n',
      join(folder, 'varnish'),
      '-s',
      'malloc,64m',
      '-T',
      'none',
      '-p',
      'default_grace=0',
    ];
    // Without its jail: another user could not read the temporary folder.
    varnish = spawn('varnishd', ['-j', 'none', '-F', '-f', join(folder, 'gantry.vcl'), ...options], {
      stdio: 'ignore',
    });
    await until('varnishd', async () => (await get('/healthz')).status === 200);
    expect(new Set(await seenBy('moved', MOVED))).toEqual(new Set(['before']));
    await putSingle('moved', MOVED.after);
    movedAt = Date.now();
    // It is kept: otherwise what is looked at later would show nothing.
    expect(new Set(await seenBy('moved', MOVED))).toEqual(new Set(['before']));
  }, 120_000);

  afterAll(async () => {
    agent.destroy();
    if (varnish !== undefined) await end(varnish);
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it(`gives nobody a wrong form in ${String(REQUESTS)} requests in random order, over tags and digests`, async () => {
    const next = random(42);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] ?? expect.fail();
    const forms = new Map(TAGS.map((tag) => [tag, single(tag)]));
    let hits = 0;
    let wrong = 0;
    const one = async (): Promise<void> => {
      const client = pick(CLIENTS);
      const method = next() < 0.2 ? 'HEAD' : 'GET';
      const tag = pick([...TAGS, 'list']);
      const [form, platform] = tag === 'list' ? client.list : [client.single];
      const ofList =
        platform === 'arm'
          ? LIST.arm
          : form === 'docker-list'
            ? LIST.list
            : form === 'docker-schema2'
              ? LIST.child
              : LIST.amd64;
      const expected = tag === 'list' ? ofList : (forms.get(tag)?.[form as 'docker-schema2'] ?? expect.fail());
      const byDigest = next() < 0.3;
      const got = await get(`/v2/open/image/manifests/${byDigest ? expected.digest : tag}`, client.headers, method);
      if (got.headers['x-cache'] === 'hit') hits++;
      const right =
        got.status === 200 &&
        got.headers['docker-content-digest'] === expected.digest &&
        got.headers['content-type'] === MEDIA_TYPE_OF_FORM[form] &&
        got.headers['content-length'] === String(expected.bytes.length) &&
        (method === 'HEAD' || got.body.equals(expected.bytes));
      if (!right) wrong++;
    };
    let left = REQUESTS;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (left-- > 0) await one();
      }),
    );
    console.log(
      `Varnish: ${String(REQUESTS)} requests, ${String(wrong)} wrong forms, hit ratio ${((100 * hits) / REQUESTS).toFixed(1)} %`,
    );
    expect(wrong).toBe(0);
    expect(hits / REQUESTS).toBeGreaterThan(0.5);
  }, 300_000);

  it('keeps what an old engine is refused by digest away from those who can read it, and the other way round', async () => {
    const { digest } = single('v0')['docker-schema2'];
    const old = { 'user-agent': 'docker/1.9.1 go/go1.4.3 os/linux arch/amd64' };
    for (let turn = 0; turn < 3; turn++) {
      expect((await get(`/v2/open/image/manifests/${digest}`, old)).status).toBe(404);
      expect((await get(`/v2/open/image/manifests/${digest}`, { accept: type('docker-schema2') })).status).toBe(200);
    }
  });

  it('answers ranges and conditions from what it keeps, as the registry would', async () => {
    const path = `/v2/open/image/blobs/${sha256(BLOB)}`;
    expect((await get(path)).body.equals(BLOB)).toBe(true);
    const part = await get(path, { range: 'bytes=100-199' });
    expect([part.status, part.headers['content-range'], part.headers['x-cache']]).toEqual([
      206,
      `bytes 100-199/${String(BLOB.length)}`,
      'hit',
    ]);
    expect(part.body.equals(BLOB.subarray(100, 200))).toBe(true);
    expect((await get(path, { range: `bytes=${String(BLOB.length)}-` })).status).toBe(416);
    const etag = String(part.headers.etag);
    expect((await get(path, { 'if-none-match': etag })).status).toBe(304);
    const { single: form } = CLIENTS[0] ?? expect.fail();
    const manifest = await get('/v2/open/image/manifests/v0', CLIENTS[0]?.headers);
    expect(manifest.headers['content-type']).toBe(MEDIA_TYPE_OF_FORM[form]);
    const conditional = { 'if-none-match': String(manifest.headers.etag) };
    expect((await get('/v2/open/image/manifests/v0', { ...CLIENTS[0]?.headers, ...conditional })).status).toBe(304);
    // The tag of another form: this client has not got what it asks for.
    expect((await get('/v2/open/image/manifests/v0', conditional)).status).toBe(200);
  });

  it('keeps a tag no longer than its lifetime, what is not there for seconds, and faults not at all', async () => {
    const lifetime = async (path: string): Promise<string> =>
      String((await get(path, { accept: '*/*' })).headers['cache-control']);
    expect(await lifetime('/v2/open/image/manifests/v1')).toBe(`public, max-age=${String(TAG_LIFETIME)}`);
    expect(await lifetime('/v2/open/image/manifests/absent')).toBe('public, max-age=5, must-revalidate');
    const aged = Number((await get('/v2/open/image/manifests/v1', { accept: '*/*' })).headers.age);
    expect(aged).toBeLessThanOrEqual(TAG_LIFETIME);
  });

  it('gives no protected byte to anybody without credentials, in mixed requests with and without', async () => {
    const next = random(7);
    const paths = [
      '/v2/team-a/image/manifests/latest',
      `/v2/team-a/image/manifests/${made('docker-schema2', SECRET).digest}`,
      `/v2/team-a/image/blobs/${sha256(Buffer.from(SECRET))}`,
      `/v2/open/image/blobs/${sha256(Buffer.from(SECRET))}`,
      '/v2/team-a/image/tags/list',
      '/v2/_catalog',
      '/v1/search?q=team',
      '/crane/repositories',
      '/',
    ];
    let leaked = 0;
    let served = 0;
    const one = async (): Promise<void> => {
      const known = next() < 0.5;
      const path = paths[Math.floor(next() * paths.length)] ?? '/';
      const got = await get(
        path,
        { accept: '*/*', ...(known && { authorization: `Basic ${Buffer.from(`ci:${TOKEN}`).toString('base64')}` }) },
        next() < 0.2 ? 'HEAD' : 'GET',
      );
      const shows =
        got.body.includes(SECRET) ||
        (got.body.includes('team-a') && got.status === 200) ||
        (path.startsWith('/v2/team-a') && got.status === 200);
      if (known && shows) served++;
      if (!known && shows) leaked++;
    };
    let left = REQUESTS;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (left-- > 0) await one();
      }),
    );
    expect(leaked).toBe(0);
    expect(served).toBeGreaterThan(REQUESTS / 10);
  }, 300_000);

  it('shows a tag that moved in every form at once to those who ask after a purge of its path', async () => {
    expect(new Set(await seenBy('purged', PURGED))).toEqual(new Set(['before']));
    await putSingle('purged', PURGED.after);
    expect(new Set(await seenBy('purged', PURGED))).toEqual(new Set(['before']));
    expect((await get('/v2/open/image/manifests/purged', {}, 'PURGE')).status).toBe(200);
    expect(new Set(await seenBy('purged', PURGED))).toEqual(new Set(['after']));
  });

  it(`shows a tag that moved to every client once its ${String(TAG_LIFETIME)} seconds are over, and nobody a mixture before`, async () => {
    const stale: number[] = [];
    const ever = new Set<string>();
    let all: readonly string[] = [];
    await until(
      'the moved tag',
      async () => {
        const since = (Date.now() - movedAt) / 1000;
        all = await seenBy('moved', MOVED);
        for (const one of all) ever.add(one);
        if (all.includes('before')) stale.push(since);
        return since > TAG_LIFETIME + 1;
      },
      (TAG_LIFETIME + 30) * 1000,
    );
    expect(ever).not.toContain('neither');
    expect(new Set(all)).toEqual(new Set(['after']));
    expect(Math.max(0, ...stale)).toBeLessThanOrEqual(TAG_LIFETIME);
  }, 120_000);
});
