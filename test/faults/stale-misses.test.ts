/**
 * A 404 is not served past its time, whatever stands between: nginx with `proxy_cache_use_stale`. And `If-Match` is
 * kept (RFC 9110, section 13.1.1).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalServer, startServer } from '../../src/publisher/local/server.ts';
import { end, freePort, gantry, missingPrograms, titleWith, until } from '../interop/programs.ts';
import { type DirImage, writeDirImage } from '../publisher/dir-image.ts';
import { type FaultProxy, startFaultProxy } from './proxy.ts';
import { html } from './random.ts';

const missing = missingPrograms('nginx');
let folder: string;
let server: LocalServer;
let image: DirImage;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-stale-'));
  server = await startServer({ port: 0, state: join(folder, 'state'), vars: { LOG: 'failures' } });
  image = await writeDirImage(join(folder, 'image'));
  const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  expect(
    (await gantry(['publish', image.source, 'test/app:latest', '--state', join(folder, 'state')], { env })).code,
  ).toBe(0);
}, 60_000);
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a 404', () => {
  it.each(['manifests/none', `manifests/sha256:${'0'.repeat(64)}`, `blobs/sha256:${'0'.repeat(64)}`])(
    'of %s may not be served past its time',
    async (path) => {
      const answer = await fetch(`${server.url}/v2/test/app/${path}`);
      expect(answer.status).toBe(404);
      expect(answer.headers.get('cache-control')).toMatch(/must-revalidate|no-store|no-cache/);
    },
  );
});

describe.skipIf(missing.length > 0)(titleWith('nginx with proxy_cache_use_stale', missing), () => {
  let proxy: FaultProxy;
  let nginx: ChildProcess;
  let url: string;
  beforeAll(async () => {
    proxy = await startFaultProxy(server.url);
    const port = await freePort();
    url = `http://127.0.0.1:${String(port)}`;
    const config = join(folder, 'nginx.conf');
    await writeFile(
      config,
      `daemon off; user root; worker_processes 1; pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'error.log')};
events {}
http {
  access_log off; client_body_temp_path ${join(folder, 'body')}; proxy_temp_path ${join(folder, 'temp')};
  proxy_cache_path ${join(folder, 'cache')} keys_zone=all:1m;
  server {
    listen 127.0.0.1:${String(port)};
    location / {
      proxy_pass ${proxy.url}; proxy_cache all; proxy_cache_use_stale error timeout http_500 http_502 http_503 http_504;
      add_header cache-status $upstream_cache_status always;
    }
  }
}
`,
    );
    nginx = spawn('nginx', ['-c', config, '-p', folder, '-e', join(folder, 'error.log')], { stdio: 'ignore' });
    await until('nginx', async () => (await fetch(`${url}/v2/`)).status === 200);
  });
  afterAll(async () => {
    await end(nginx);
    await proxy.close();
  });

  it('does not serve a 404 past its time while we are down', { timeout: 30_000 }, async () => {
    const path = `${url}/v2/test/app/manifests/later`;
    expect((await fetch(path)).status).toBe(404);
    proxy.fault = () => html(502);
    // Its lifetime is five seconds, and nginx has no clock to turn.
    await sleep(6_500);
    const answer = await fetch(path);
    proxy.fault = () => undefined;
    expect([answer.status, answer.headers.get('cache-status')]).toEqual([502, expect.not.stringContaining('STALE')]);
  });
});

describe('If-Match', () => {
  it.each([
    ['another entity tag', '"other"', 412],
    ['a weak one', 'W/"x"', 412],
  ])('with %s: %s gives %i', async (_, ifMatch, status) => {
    for (const path of ['manifests/latest', `manifests/${image.manifest.digest}`, `blobs/${image.config}`]) {
      const answer = await fetch(`${server.url}/v2/test/app/${path}`, {
        headers: { 'if-match': ifMatch, accept: image.manifest.mediaType },
      });
      expect([path, answer.status]).toEqual([path, status]);
    }
  });

  it('with the right one, or any, gives what is there', async () => {
    const url = `${server.url}/v2/test/app/manifests/latest`;
    const etag = (await fetch(url, { headers: { accept: image.manifest.mediaType } })).headers.get('etag') ?? '';
    for (const ifMatch of [etag, `"other", ${etag}`, '*']) {
      expect((await fetch(url, { headers: { 'if-match': ifMatch, accept: image.manifest.mediaType } })).status).toBe(
        200,
      );
    }
  });
});
