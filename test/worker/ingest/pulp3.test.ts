/** What a rule for a Pulp 3 passes on beside pulls; the upstream is a table of answers. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeOriginMark } from '../../../src/registry/origin-mark.ts';
import { manifestKey, signaturesKey } from '../../../src/registry/keys.ts';
import { type Ask, cachedEdge, directEdge, errorOf } from '../edge.ts';
import { bytesOf, digestOf, hash, nameOf } from '../seed.ts';

const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket };

/** Address (without query) → answer; everything else is not there. */
const upstream = new Map<string, () => Response | Promise<Response>>();
const asked: string[] = [];

beforeAll(() => {
  vi.stubGlobal('fetch', async (url: string) => {
    asked.push(url);
    const answer = upstream.get(url.replace(/\?.*/, ''));
    return (await answer?.()) ?? new Response('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', { status: 404 });
  });
});

afterAll(() => {
  vi.unstubAllGlobals();
});

const SUBJECT = digestOf(`sha256:${'a'.repeat(64)}`);
const signatureOf = (digest: string, salt = 'a'): object => ({
  schemaVersion: 2,
  type: 'atomic',
  name: `${digest}@${'0'.repeat(32)}`,
  content: btoa(salt),
});
const json = (value: unknown) => (): Response => new Response(JSON.stringify(value));
const down = (): Response => new Response('bad gateway', { status: 502 });

const rulesFor = (host: string, more: Record<string, unknown> = {}): { readonly ORIGINS: unknown } => ({
  ORIGINS: [{ name: host.replace(/\..*/, ''), pattern: '*', upstream: `https://${host}`, kind: 'pulp3', ...more }],
});
const signaturesPath = (name: string): string => `/extensions/v2/${name}/signatures/${SUBJECT}`;
const signaturesAt = async (edge: Ask, name: string): Promise<unknown> => (await edge(signaturesPath(name))).json();

describe('atomic signatures', () => {
  it.each([
    ['straight', directEdge],
    ['behind a cache', cachedEdge],
  ] as const)('are fetched once, stored, and then served from the bucket: %s', async (title, edgeOver) => {
    const host = `kept-${title.replaceAll(' ', '-')}.example`;
    const name = `kept/${title.replaceAll(' ', '-')}`;
    const document = { signatures: [signatureOf(SUBJECT)] };
    upstream.set(`https://${host}${signaturesPath(name)}`, json(document));
    const edge = edgeOver(bucket, { vars: rulesFor(host) });
    const first = await edge(signaturesPath(name));
    expect([first.status, first.headers.get('content-type')]).toEqual([200, 'application/json']);
    expect(await first.json()).toEqual(document);
    const etag = first.headers.get('etag') ?? '';
    const before = asked.length;
    upstream.set(`https://${host}${signaturesPath(name)}`, down);
    expect(await signaturesAt(edge, name)).toEqual(document);
    expect((await edge(signaturesPath(name), { headers: { 'if-none-match': etag } })).status).toBe(304);
    const head = await edge(signaturesPath(name), { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([
      200,
      first.headers.get('content-length'),
      '',
    ]);
    expect(asked.length).toBe(before);
    expect(await (await bucket.get(signaturesKey(nameOf(name), SUBJECT)))?.json()).toEqual(document);
  });

  /** Stores signatures that were compared with the upstream so many seconds ago. */
  const store = async (name: string, signatures: readonly object[], seconds: number): Promise<void> => {
    const mark = { origin: 'old', digest: SUBJECT, checked: Date.now() - seconds * 1000, gone: null };
    const options = { customMetadata: encodeOriginMark(mark), httpMetadata: { contentType: 'application/json' } };
    await bucket.put(signaturesKey(nameOf(name), SUBJECT), JSON.stringify({ signatures }), options);
  };

  it('that came after the image are seen after the lifetime', async () => {
    const document = { signatures: [signatureOf(SUBJECT)] };
    upstream.set(`https://late.example${signaturesPath('late')}`, json(document));
    await store('late', [], 120);
    expect(
      await signaturesAt(directEdge(bucket, { vars: rulesFor('late.example', { lifetime: 60, stale: 0 }) }), 'late'),
    ).toEqual(document);
  });

  it('are served with a warning while the upstream fails', async () => {
    const document = { signatures: [signatureOf(SUBJECT)] };
    upstream.set(`https://away.example${signaturesPath('away')}`, down);
    await store('away', document.signatures, 120);
    const edge = directEdge(bucket, { vars: rulesFor('away.example', { lifetime: 60, stale: 0 }) });
    const got = await edge(signaturesPath('away'));
    expect([got.status, await got.json(), got.headers.get('warning')?.slice(0, 3)]).toEqual([200, document, '110']);
    const unknown = await edge(signaturesPath('other'));
    expect(unknown.status).toBe(404);
    upstream.set(`https://away.example${signaturesPath('other/two')}`, down);
    const failed = await edge(signaturesPath('other/two'));
    expect([failed.status, (await errorOf(failed)).detail.reason]).toEqual([503, 'upstream-unavailable']);
  });

  it('of a derived manifest, which the upstream does not know, are none: it is asked once', async () => {
    const name = 'derived';
    await bucket.put(manifestKey(nameOf(name), SUBJECT), '{}');
    const edge = directEdge(bucket, { vars: rulesFor('derived.example') });
    expect(await signaturesAt(edge, name)).toEqual({ signatures: [] });
    expect(await signaturesAt(edge, name)).toEqual({ signatures: [] });
    expect(asked.filter((url) => url.includes('derived.example'))).toHaveLength(1);
  });

  it('that are too many are a failure of the upstream, and nothing is stored', async () => {
    const many = Array.from({ length: 129 }, (_, index) => signatureOf(SUBJECT, String(index)));
    upstream.set(`https://many.example${signaturesPath('many')}`, json({ signatures: many }));
    const got = await directEdge(bucket, { vars: rulesFor('many.example') })(signaturesPath('many'));
    expect([got.status, (await errorOf(got)).detail]).toEqual([
      503,
      expect.objectContaining({ reason: 'upstream-unavailable', code: 'ORIGIN_PROTOCOL' }),
    ]);
    expect(await bucket.head(signaturesKey(nameOf('many'), SUBJECT))).toBeNull();
  });

  it('are announced where a rule has them, with a challenge too, and nowhere else', async () => {
    const announced = async (vars: Partial<ReturnType<typeof rulesFor>>): Promise<string | null> =>
      (await directEdge(bucket, { vars })('/v2/')).headers.get('x-registry-supports-signatures');
    expect(await announced({})).toBeNull();
    expect(await announced(rulesFor('any.example', { kind: 'registry' }))).toBeNull();
    expect(await announced(rulesFor('any.example'))).toBe('1');
    const vars = { ...rulesFor('any.example'), REALMS: [{ pattern: 'team/*', realm: 'team' }], ACCESS: {} };
    const challenge = await directEdge(bucket, { vars })('/v2/');
    expect([challenge.status, challenge.headers.get('x-registry-supports-signatures')]).toEqual([401, '1']);
  });

  it('are not asked of a registry of another kind', async () => {
    const edge = directEdge(bucket, { vars: rulesFor('plain.example', { kind: 'registry' }) });
    expect((await edge(signaturesPath('plain'))).status).toBe(404);
    expect(asked.some((url) => url.includes('plain.example'))).toBe(false);
  });

  it('cannot be put', async () => {
    const put = await directEdge(bucket, { vars: rulesFor('any.example') })(signaturesPath('a'), {
      method: 'PUT',
      body: '{}',
    });
    expect([put.status, (await errorOf(put)).detail.reason]).toEqual([405, 'method-not-allowed']);
  });
});

describe('the list for Flatpak', () => {
  const QUERY = 'label:org.flatpak.ref:exists=1';
  const image = { Tags: ['latest'], Digest: SUBJECT, Labels: { 'org.flatpak.ref': 'app/x' } };
  const listOf = (...names: readonly string[]): object => ({
    Registry: 'https://pulp.example',
    Results: names.map((Name) => ({ Name, Images: [image] })),
  });
  const namesAt = async (edge: Ask, path: string, init?: RequestInit): Promise<unknown> => {
    const { Results: results } = await (await edge(path, init)).json<{ Results: { Name: string }[] }>();
    return results.map(({ Name: name }) => name);
  };
  const rules = (host: string): readonly object[] => [
    { name: 'special', pattern: 'apps/special', remote: 'other/special', upstream: 'https://unused.example' },
    {
      name: host.replace(/\..*/, ''),
      pattern: 'apps/*',
      remote: 'flatpaks/*',
      upstream: `https://${host}`,
      flatpak: true,
    },
  ];

  it.each([
    ['straight', directEdge],
    ['behind a cache', cachedEdge],
  ] as const)('has this registry’s address and names, and only what the rule serves: %s', async (title, edgeOver) => {
    const host = `list-${title.replaceAll(' ', '-')}.example`;
    upstream.set(
      `https://${host}/index/static`,
      json(listOf('flatpaks/one', 'flatpaks/special', 'elsewhere/two', 'Bad Name')),
    );
    const edge = edgeOver(bucket, { vars: { ORIGINS: rules(host) } });
    const got = await edge(`/index/static?${QUERY}&tag=latest`);
    expect(await got.json()).toEqual({
      Registry: 'https://registry.example',
      Results: [{ Name: 'apps/one', Images: [image] }],
    });
    const before = asked.length;
    const again = await edge(`/index/static?tag=latest&${QUERY}`, {
      headers: { 'if-none-match': got.headers.get('etag') ?? '' },
    });
    expect([again.status, asked.length - before]).toEqual([304, 0]);
    const head = await edge(`/index/static?${QUERY}&tag=latest`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([
      200,
      got.headers.get('content-length'),
      '',
    ]);
  });

  it('names what the caller may see', async () => {
    upstream.set('https://closed.example/index/dynamic', json(listOf('flatpaks/open', 'flatpaks/team/one')));
    const vars = { ORIGINS: rules('closed.example'), REALMS: [{ pattern: 'apps/team/*', realm: 'team' }], ACCESS: {} };
    expect(await namesAt(directEdge(bucket, { vars }), `/index/dynamic?${QUERY}`)).toEqual(['apps/open']);
  });

  it('asks for repositories by their names at the upstream', async () => {
    upstream.set('https://named.example/index/dynamic', json(listOf('flatpaks/one')));
    const edge = directEdge(bucket, { vars: { ORIGINS: rules('named.example') } });
    expect(await namesAt(edge, `/index/dynamic?${QUERY}&repository=apps/one`)).toEqual(['apps/one']);
    expect(new URL(asked.at(-1) ?? '').searchParams.getAll('repository')).toEqual(['flatpaks/one']);
    const before = asked.length;
    expect(await namesAt(edge, `/index/dynamic?${QUERY}&repository=other/one`)).toEqual([]);
    expect(asked.length).toBe(before);
  });

  it.each([
    '',
    'tag=latest',
    `${QUERY}&annotation:a=b`,
    `${QUERY}&tag=${'x'.repeat(300)}`,
    `${QUERY}${'&tag=a'.repeat(40)}`,
  ])('is refused for a query that is none of Flatpak’s: %s', async (query) => {
    const got = await directEdge(bucket, { vars: { ORIGINS: rules('any.example') } })(`/index/static?${query}`);
    expect([got.status, (await errorOf(got)).detail.reason]).toEqual([400, 'query-invalid']);
  });

  it('is unknown while the upstream fails, and no endpoint without a rule for it', async () => {
    upstream.set('https://gone.example/index/static', down);
    const failed = await directEdge(bucket, { vars: { ORIGINS: rules('gone.example') } })(`/index/static?${QUERY}`);
    expect([failed.status, (await errorOf(failed)).detail.reason]).toEqual([503, 'upstream-unavailable']);
    const none = await directEdge(bucket, { vars: rulesFor('any.example') })(`/index/static?${QUERY}`);
    expect([none.status, (await errorOf(none)).detail.reason]).toEqual([404, 'endpoint-unknown']);
  });
});

describe('an engine that falls back to the v1 API', () => {
  const v1 = async (edge: Ask, name: string): Promise<readonly [number, string]> => {
    const got = await edge(`/v1/repositories/${name}/images`);
    return [got.status, await got.text()];
  };

  it('is told of the outage that the v2 API had, and no longer once that answers', async () => {
    const edge = directEdge(bucket, { vars: rulesFor('v1.example') });
    upstream.set('https://v1.example/v2/v1/manifests/one', down);
    expect((await edge('/v2/v1/manifests/one')).status).toBe(503);
    expect(await v1(edge, 'v1')).toEqual([400, expect.stringContaining('did not answer')]);
    upstream.delete('https://v1.example/v2/v1/manifests/one');
    expect((await edge('/v2/v1/manifests/one')).status).toBe(404);
    expect((await v1(edge, 'v1'))[0]).toBe(404);
  });

  it('is told of an outage now, whatever isolate answered before', async () => {
    const edge = directEdge(bucket, { vars: rulesFor('v1-now.example') });
    upstream.set('https://v1-now.example/v2/v1-now/tags/list', down);
    expect((await v1(edge, 'v1-now'))[0]).toBe(400);
  });
});

describe('a client certificate', () => {
  it('is shown to the upstream, and not to where that redirects to', async () => {
    const layer = bytesOf('a layer behind a certificate');
    const digest = await hash(layer);
    const shown: string[] = [];
    const certificate = {
      fetch: (url: string): Promise<Response> => {
        shown.push(url);
        const location = 'https://storage.example/blob?signature=1';
        return Promise.resolve(new Response(null, { status: 302, headers: { location } }));
      },
    };
    upstream.set('https://storage.example/blob', () => new Response(Uint8Array.from(layer)));
    const vars = { ...rulesFor('katello.example', { certificate: 'PULP_CERTIFICATE' }), PULP_CERTIFICATE: certificate };
    const got = await directEdge(bucket, { vars })(`/v2/certified/blobs/${digest}`);
    expect([got.status, new Uint8Array(await got.arrayBuffer())]).toEqual([200, layer]);
    expect(shown).toEqual([`https://katello.example/v2/certified/blobs/${digest}`]);
    expect(asked.filter((url) => url.includes('katello.example'))).toEqual([]);
  });
});

describe('a redirect for blobs to the upstream’s own host', () => {
  it.each([
    ['that is signed', 'https://own.example/content/blob?validate_token=1', {}, 307],
    ['without a signature', 'https://own.example/content/blob', {}, 200],
    ['that is the registry again, which wants a token', 'https://own.example/v2/b/blob?a=1', {}, 200],
    [
      'where a certificate is needed',
      'https://own.example/content/blob?validate_token=1',
      { certificate: 'CERT' },
      200,
    ],
  ])('is followed by the client only where it can be read: %s', async (title, location, more, status) => {
    const layer = bytesOf(`a layer ${title}`);
    const digest = await hash(layer);
    upstream.set(
      `https://own.example/v2/own/blobs/${digest}`,
      () => new Response(null, { status: 302, headers: { location } }),
    );
    upstream.set(location.replace(/\?.*/, ''), () => new Response(Uint8Array.from(layer)));
    const certificate = { fetch: (url: string, init: RequestInit): Promise<Response> => fetch(url, init) };
    const vars = { ...rulesFor('own.example', { blobs: 'redirect', ...more }), CERT: certificate };
    const got = await directEdge(bucket, { vars })(`/v2/own/blobs/${digest}`);
    await got.arrayBuffer();
    expect([got.status, got.headers.get('location')]).toEqual([status, status === 307 ? location : null]);
  });
});
