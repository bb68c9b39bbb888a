/** Blobs that the client fetches elsewhere. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseRealmTable, realmOf } from '../../src/registry/realms.ts';
import { watched } from './buckets.ts';
import { type Ask, directEdge } from './edge.ts';
import { bytesOf, nameOf, seedBlob, seedTagList } from './seed.ts';

const bucket = (env as unknown as { BUCKET: R2Bucket }).BUCKET;
const NAME = 'delivery/image';
const REALMS = [{ pattern: 'private/*', realm: 'private' }];
const CONTENT = bytesOf('somewhere else');
let blob: string;

beforeAll(async () => {
  blob = await seedBlob(bucket, CONTENT);
  await seedBlob(bucket, CONTENT, realmOf(parseRealmTable(REALMS), nameOf('private/image')));
  await seedTagList(bucket, NAME, []);
});

const keyOf = (realm: string): string => `blobs/${realm}/sha256/${blob.slice('sha256:'.length)}`;
const presigned: Ask = directEdge(bucket, {
  vars: {
    BLOB_DELIVERY: {
      mode: 'presigned',
      endpoint: 'https://account.r2.cloudflarestorage.com',
      bucket: 'gantry',
      ttl: 120,
    },
    R2_ACCESS_KEY_ID: 'key',
    R2_SECRET_ACCESS_KEY: 'secret',
  },
});
const elsewhere = (more: object, vars: object = {}): Ask =>
  directEdge(bucket, {
    vars: {
      BLOB_DELIVERY: JSON.stringify({ mode: 'redirect', base: 'https://blobs.example/bucket', ...more }),
      ...vars,
    },
  });

async function locationOf(ask: Ask, method = 'GET', name = NAME): Promise<URL> {
  const response = await ask(`/v2/${name}/blobs/${blob}`, { method });
  expect(response.status).toBe(307);
  expect(response.headers.get('docker-content-digest')).toBe(blob);
  return new URL(response.headers.get('location') ?? '');
}

describe('blob delivery', () => {
  it('presigned: 307 to a URL of R2 that is signed for the method and kept by nobody', async () => {
    for (const method of ['GET', 'HEAD']) {
      const url = await locationOf(presigned, method);
      expect(url.origin + url.pathname).toBe(`https://account.r2.cloudflarestorage.com/gantry/${keyOf('public')}`);
      expect(url.searchParams.get('X-Amz-Expires')).toBe('120');
      expect(url.searchParams.get('X-Amz-Signature')).toMatch(/^[0-9a-f]{64}$/);
    }
    const [get, head] = [await locationOf(presigned), await locationOf(presigned, 'HEAD')];
    expect(get.searchParams.get('X-Amz-Signature')).not.toBe(head.searchParams.get('X-Amz-Signature'));
    expect((await presigned(`/v2/${NAME}/blobs/${blob}`)).headers.get('cache-control')).toBe('no-store');
  });

  it('redirect: 307 to the host, the address rewritten as crane does', async () => {
    expect((await locationOf(elsewhere({}))).href).toBe(`https://blobs.example/bucket/${keyOf('public')}`);
    const rewritten = elsewhere({ rewrite: { match: 'blobs.example/bucket', replace: 'cdn.example/x$&' } });
    expect((await locationOf(rewritten)).href).toBe(`https://cdn.example/x$&/${keyOf('public')}`);
    expect((await elsewhere({})(`/v2/${NAME}/blobs/${blob}`)).headers.get('cache-control')).toBe(
      'public, max-age=3600',
    );
  });

  it('redirect with a token: crane’s, over the path', async () => {
    const url = await locationOf(elsewhere({ auth: { ttl: 60 } }, { BLOB_AUTH_SECRET: '00ff00ff' }));
    const [, expiry = '', mac = ''] = /^\?_auth_=(exp=\d+)~hmac=([0-9a-f]{64})$/.exec(url.search) ?? [];
    const key = await crypto.subtle.importKey(
      'raw',
      new Uint8Array([0, 255, 0, 255]),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['verify'],
    );
    const bytes = Uint8Array.from(mac.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    expect(await crypto.subtle.verify('HMAC', key, bytes, bytesOf(`${expiry}~url=${url.pathname}`))).toBe(true);
    expect(Number(expiry.slice(4)) - Date.now() / 1000).toBeLessThanOrEqual(60);
  });

  it('only what is there is sent elsewhere, at the price of one head', async () => {
    const { bucket: counting, operations } = watched(bucket);
    const ask = directEdge(counting, { vars: { BLOB_DELIVERY: '{"mode":"redirect","base":"https://blobs.example"}' } });
    await locationOf(ask);
    expect(operations).toMatchObject({ head: 1, get: 0 });
    expect((await ask(`/v2/${NAME}/blobs/sha256:${'0'.repeat(64)}`)).status).toBe(404);
  });

  it('who has it already is told so', async () => {
    expect((await presigned(`/v2/${NAME}/blobs/${blob}`, { headers: { 'if-none-match': `"${blob}"` } })).status).toBe(
      304,
    );
  });

  it('what is protected is not sent to an address that anybody could guess', async () => {
    const claims = { REALMS, ACCESS: { login: 'none' } };
    const ask = elsewhere({}, claims);
    expect((await ask(`/v2/private/image/blobs/${blob}`)).status).toBe(401);
    expect((await locationOf(ask)).pathname).toContain(keyOf('public'));
  });
});
