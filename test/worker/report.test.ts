/** What is told of a request: to the log, to the client, and to Analytics Engine. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { clientFamily } from '../../src/worker/log/client-family.ts';
import { watched } from './buckets.ts';
import { dataset } from './analytics-engine.ts';
import { type EdgeOptions, directEdge } from './edge.ts';
import { bytesOf, manifest, seedBlob, seedTag, seedTagList, type SeededForm } from './seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const NAME = 'report/image';
const SECRET = 'dG9wOnNlY3JldA==';
let image: SeededForm;
let blob: string;

beforeAll(async () => {
  image = await manifest('docker-schema2', 'report');
  await seedTag(bucket, NAME, 'latest', [image]);
  await seedTagList(bucket, NAME, ['latest']);
  blob = await seedBlob(bucket, bytesOf('0123456789'));
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** The log lines of one request. */
async function logOf(
  path: string,
  init: RequestInit = {},
  options: EdgeOptions = { vars: { LOG: 'all' } },
): Promise<{ lines: Record<string, unknown>[]; response: Response }> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  const response = await directEdge(bucket, options)(path, init);
  log.mockRestore();
  return { lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>), response };
}

describe('the log', () => {
  it('has one line a request, which says what was asked, what came of it and what it cost', async () => {
    const headers = { accept: MEDIA_TYPE_OF_FORM['docker-schema2'], 'user-agent': 'docker/28.1.1 go/go1.23' };
    const { lines, response } = await logOf(`/v2/${NAME}/manifests/latest`, { headers });
    expect(lines).toEqual([
      {
        event: 'request',
        id: response.headers.get('x-request-id'),
        method: 'GET',
        kind: 'manifest',
        name: NAME,
        tag: 'latest',
        status: 200,
        form: 'docker-schema2',
        client: 'docker',
        r2: { head: 0, get: 1 },
        bytes: image.bytes.length,
        ms: expect.any(Number) as number,
      },
    ]);
  });

  it.each([
    [`/v2/${NAME}/manifests/latest`, {}, { status: 404, reason: 'schema1-not-published', client: 'none' }],
    [`/v2/${NAME}/manifests/absent`, {}, { status: 404, reason: 'tag-unknown', r2: { head: 1, get: 1 } }],
    [`/v2/${NAME}/tags/list`, { method: 'HEAD' }, { status: 200, kind: 'tag-list', bytes: 0 }],
    ['/v2/Bad/tags/list', {}, { status: 400, reason: 'name-invalid', path: '/v2/Bad/tags/list' }],
    [`/v2/${NAME}/manifests/latest`, { method: 'PUT' }, { status: 405, reason: 'method-not-allowed' }],
  ] as const)('%s %o: %o', async (path, init, expected) => {
    expect((await logOf(path, init)).lines).toMatchObject([expected]);
  });

  it('counts the bytes of a part, and none where nothing is sent', async () => {
    const path = `/v2/${NAME}/blobs/${blob}`;
    expect((await logOf(path, { headers: { range: 'bytes=0-3' } })).lines).toMatchObject([{ status: 206, bytes: 4 }]);
    expect((await logOf(path, { headers: { 'if-none-match': `"${blob}"` } })).lines).toMatchObject([
      { status: 304, bytes: 0, r2: { head: 1, get: 0 } },
    ]);
  });

  it('has no credentials and no queries in it', async () => {
    const headers = { authorization: `Basic ${SECRET}`, cookie: SECRET };
    for (const path of [`/v2/${NAME}/tags/list?n=1&x=${SECRET}`, `/nowhere?x=${SECRET}`, `/token?account=${SECRET}`]) {
      expect(JSON.stringify((await logOf(path, { headers })).lines)).not.toContain(SECRET);
    }
  });

  it('can be had of failures alone', async () => {
    expect((await logOf(`/v2/${NAME}/tags/list`, {}, { vars: { LOG: 'failures' } })).lines).toEqual([]);
    const lines: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
    const { bucket: bad } = watched(bucket, () => Promise.reject(new Error('lost')));
    await directEdge(bad, { retry: { backoff: 1 } })(`/v2/${NAME}/blobs/${blob}`);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { status: 503, reason: 'storage-unavailable', r2: { head: 0, get: 3 } },
    ]);
  });
});

describe('Analytics Engine', () => {
  const get = { accept: '*/*', 'user-agent': 'skopeo/1.9.3' };
  const old = { 'user-agent': 'docker/1.9.1 go/go1.4.3' };

  it('gets one point for each pull by tag, with form and family of clients, and none of an address or a user', async () => {
    const { binding, points } = dataset();
    const ask = directEdge(bucket, { vars: { PULLS: binding } });
    const address = { 'cf-connecting-ip': '192.0.2.7', authorization: `Basic ${SECRET}` };
    await ask(`/v2/${NAME}/manifests/latest`, { headers: get });
    await ask(`/v2/${NAME}/manifests/latest`, { headers: { ...old, 'cf-connecting-ip': '192.0.2.7' } });
    await ask(`/v2/${NAME}/manifests/latest`, {
      method: 'HEAD',
      headers: { ...get, 'user-agent': 'containerd/2.1.9' },
    });
    expect(points).toEqual([
      { indexes: [NAME], blobs: [NAME, 'latest', 'docker-schema2', 'skopeo', ''] },
      { indexes: [NAME], blobs: [NAME, 'latest', '', 'docker before 1.10', 'schema1-not-published'] },
      { indexes: [NAME], blobs: [NAME, 'latest', 'docker-schema2', 'containerd', ''] },
    ]);
    points.length = 0;
    for (const path of ['manifests/none', `manifests/${image.digest}`, `blobs/${blob}`, 'tags/list'])
      await ask(`/v2/${NAME}/${path}`, { headers: { ...get, ...address } });
    await ask(`/v2/${NAME}/manifests/latest`, { method: 'HEAD', headers: get });
    await ask(`/v2/${NAME}/manifests/latest`, { headers: { ...get, 'if-none-match': `"${image.digest}"` } });
    expect(points).toEqual([]);
  });

  it('takes the longest names and tags within its limits', async () => {
    const { binding, points } = dataset();
    const [name, tag] = [`${'a'.repeat(127)}/${'b'.repeat(127)}`, 'v'.repeat(128)];
    await seedTag(bucket, name, tag, [image]);
    const response = await directEdge(bucket, { vars: { PULLS: binding } })(`/v2/${name}/manifests/${tag}`, {
      headers: get,
    });
    expect(response.status).toBe(200);
    expect(points).toHaveLength(1);
  });

  it('costs no operation of R2, and neither delays nor fails a response', async () => {
    const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const never = { writeDataPoint: () => new Promise(() => undefined) };
    const failing = { writeDataPoint: () => Promise.reject(new Error('gone')) };
    const { binding: full } = dataset(0);
    const costs: string[] = [];
    for (const PULLS of [undefined, dataset().binding, never, failing, full]) {
      const counting = watched(bucket);
      const ask = directEdge(counting.bucket, { vars: PULLS === undefined ? {} : { PULLS } });
      const response = await ask(`/v2/${NAME}/manifests/latest`, { headers: get });
      expect(response.status).toBe(200);
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(image.bytes);
      costs.push(JSON.stringify(counting.operations));
    }
    expect(new Set(costs).size).toBe(1);
    expect(errors.mock.calls.map(([line]) => (JSON.parse(String(line)) as { event: string }).event)).toEqual([
      'pull-not-counted',
      'pull-not-counted',
    ]);
  });
});

describe('a configuration that cannot be read', () => {
  it('serves nothing, and says why to the log alone', async () => {
    const lines: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((line: string) => void lines.push(line));
    for (const vars of [
      { REALMS: '[{"pattern":"x"}]' },
      { PURGE_TOKEN: 'short' },
      { LOG: 'some' },
      { BLOB_DELIVERY: 'teleport' },
      { PUBLIC_URL: 'registry' },
    ]) {
      for (const path of ['/v2/', `/v2/${NAME}/tags/list`]) {
        const response = await directEdge(bucket, { vars })(path);
        expect(response.status).toBe(500);
        expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
        expect(await response.text()).not.toMatch(/REALMS|PURGE_TOKEN|LOG|BLOB_DELIVERY|PUBLIC_URL/);
      }
    }
    expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual(
      Array<string>(10).fill('configuration'),
    );
  });
});

it.each([
  ['docker/1.9.1 go/go1.4.3 git-commit/a34a1d5', 'docker before 1.10'],
  ['docker/1.13.1 go/go1.7', 'docker'],
  ['docker/28.1.1 go/go1.23.8', 'docker'],
  ['containerd/2.1.0', 'containerd'],
  ['containers/5.21.1 (github.com/containers/image)', 'containers/image'],
  ['skopeo/1.9.3', 'skopeo'],
  ['go-containerregistry/v0.20', 'go-containerregistry'],
  ['curl/8.0', 'curl'],
  ['something', 'other'],
  ['', 'none'],
  [null, 'none'],
])('%s is of the family %s', (userAgent, family) => {
  expect(clientFamily(userAgent)).toBe(family);
});
