/**
 * An upstream that fails is no proof that something is not there: neither a form of a tag, nor the tag. docker-registry
 * behind a proxy is the upstream.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalServer, startServer } from '../../src/publisher/local/server.ts';
import { get, MODERN, OLD, reasonOf } from '../interop/origin-edge.ts';
import { missingPrograms, titleWith, until } from '../interop/programs.ts';
import { digestOf, payloadOf } from './bucket-reader.ts';
import type { Fault, Seen } from './proxy.ts';
import { byRules, html, registryError } from './random.ts';
import { startUpstreamBed, type UpstreamBed } from './upstream.ts';

const missing = missingPrograms('docker-registry');

const FAULTS: readonly (readonly [string, Fault])[] = [
  ...[400, 405, 406, 410, 451, 500, 501, 502, 503, 504].map(
    (status) => [String(status), registryError(status, 'UNKNOWN')] as const,
  ),
  ['401', registryError(401, 'UNAUTHORIZED')],
  ['403', registryError(403, 'DENIED')],
  ['429', registryError(429, 'TOOMANYREQUESTS', { 'retry-after': '1' })],
  ['HTML with status 200', html(200)],
  ['HTML with status 403', html(403)],
  ['HTML with status 404', html(404)],
  ['an empty 404', { kind: 'answer', status: 404 }],
  ['one bit that is another', { kind: 'corrupt' }],
  ['a body that is cut', { kind: 'cut', after: 100 }],
  ['a connection that breaks', { kind: 'drop', when: 'before' }],
  ['silence', { kind: 'hang' }],
];

/** Asks for schema 1 and nothing else. */
const asksForSchema1 = ({ headers }: Seen): boolean =>
  headers.accept?.includes('manifest.v2') === false && headers.accept.includes('manifest.v1');
// An upstream that limits is left alone for a while, and so are all repositories of its rule.
const nameOf = (title: string): string =>
  `${title.includes('429') ? 'limited' : 'faulty'}/${title.toLowerCase().replaceAll(' ', '-')}`;

describe.skipIf(missing.length > 0)(titleWith('an upstream that fails', missing), () => {
  let upstream: UpstreamBed;
  let server: LocalServer;
  let state: string;

  beforeAll(async () => {
    upstream = await startUpstreamBed();
    state = await mkdtemp(join(tmpdir(), 'gantry-faults-'));
    const rules = ['faulty', 'limited'].map((name) => ({
      name,
      pattern: `${name}/*`,
      upstream: upstream.proxy.url,
      lifetime: 1,
      stale: 0,
      timeout: 1,
    }));
    server = await startServer({ port: 0, state, vars: { LOG: 'failures', ORIGINS: JSON.stringify(rules) } });
  }, 60_000);
  afterAll(async () => {
    await server.close();
    await upstream.close();
    await rm(state, { recursive: true, force: true });
  });

  it.each(FAULTS)(
    'asked for schema 1, with %s: 503 for who needs it, and there when the upstream is well',
    async (title, fault) => {
      const name = nameOf(`form ${title}`);
      const { schema1, digest } = await upstream.push(name, 'latest');
      upstream.proxy.fault = byRules([{ path: new RegExp(`/${name}/manifests/`), when: asksForSchema1, fault }]);
      const url = `${server.url}/v2/${name}/manifests/latest`;
      const old = await get(url, { headers: OLD });
      expect([old.status, reasonOf(old)]).toEqual([503, 'form-unknown']);
      // Whatever became of one form is no reason to keep the others from those who can read them.
      expect((await get(url, { headers: MODERN })).digest).toBe(digest);
      upstream.proxy.fault = () => undefined;
      await until('the schema 1', async () => (await get(url, { headers: OLD })).status === 200, 20_000);
      expect(digestOf(payloadOf((await get(url, { headers: OLD })).body))).toBe(schema1);
    },
  );

  it('asked for schema 1, with a real "not here": the documented 404', async () => {
    const name = nameOf('no form');
    await upstream.push(name, 'latest');
    upstream.proxy.fault = byRules([
      { path: new RegExp(`/${name}/manifests/`), when: asksForSchema1, fault: registryError(404, 'MANIFEST_UNKNOWN') },
    ]);
    const old = await get(`${server.url}/v2/${name}/manifests/latest`, { headers: OLD });
    expect([old.status, reasonOf(old)]).toEqual([404, 'schema1-not-published']);
  });

  it.each([
    ['HTML', html(404)],
    ['nothing', { kind: 'answer', status: 404 } as const],
    [
      'JSON of another kind',
      {
        kind: 'answer',
        status: 404,
        headers: { 'content-type': 'application/json' },
        body: '{"error":"no route"}',
      } as const,
    ],
  ])('a 404 with %s is no proof that a tag, a manifest, a blob or a repository is not there', async (title, fault) => {
    const name = nameOf(`no proof ${title}`);
    const { digest, blobs } = await upstream.push(name, 'latest');
    upstream.proxy.fault = () => fault;
    const statuses = await Promise.all(
      ['manifests/latest', `manifests/${digest}`, `blobs/${blobs[0] ?? ''}`, 'tags/list'].map(async (path) => {
        const got = await get(`${server.url}/v2/${name}/${path}`, { headers: MODERN });
        return `${path.split('/')[0] ?? ''} ${String(got.status)}`;
      }),
    );
    upstream.proxy.fault = () => undefined;
    expect(statuses).toEqual(['manifests 503', 'manifests 503', 'blobs 503', 'tags 503']);
  });
});
