import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AccessOptions, openRegistryAccess } from '../../../../src/publisher/sources/registry/access.ts';
import { nameOf } from '../../gc-bucket.ts';

let folder: string;
let plain: Server;
let tls: Server;
const asked: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
    '-keyout',
    key,
    '-out',
    cert,
  ]);
  const answer: RequestListener = ({ url = '' }, response) => {
    asked.push(url);
    response.setHeader('content-type', 'application/json');
    response.end(url.endsWith('/tags/list') ? '{"tags":["1"]}' : '{}');
  };
  const identity = { key: await readFile(key), cert: await readFile(cert) };
  plain = createHttp(answer).listen(0, '127.0.0.1');
  tls = createHttps(identity, answer).listen(0, '127.0.0.1');
  await Promise.all([once(plain, 'listening'), once(tls, 'listening')]);
});

afterAll(async () => {
  for (const server of [plain, tls]) {
    server.close();
    server.closeAllConnections();
  }
  await rm(folder, { recursive: true });
});

function hostOf(server: Server, name = '127.0.0.1'): string {
  const address = server.address();
  return `${name}:${String(typeof address === 'object' ? address?.port : '')}`;
}

async function tagsOf(host: string, options: Partial<AccessOptions> = {}): Promise<unknown> {
  const access = openRegistryAccess({ env: {}, policy: { attempts: 1 }, ...options });
  try {
    const { client } = await access.to({ host, name: nameOf('a') });
    return await client.tags(nameOf('a'));
  } finally {
    await access.close();
  }
}

describe('the way to a registry', () => {
  const TAGS = { kind: 'tags', tags: ['1'] };

  test('on this machine may be plain http, or https with any certificate', async () => {
    expect(await tagsOf(hostOf(plain))).toEqual(TAGS);
    expect(await tagsOf(hostOf(tls))).toEqual(TAGS);
  });

  test('is https with a certificate that holds, where that is asked for', async () => {
    await expect(tagsOf(hostOf(tls), { tlsVerify: true })).rejects.toThrow(/TLS fails/);
    await expect(tagsOf(hostOf(plain), { tlsVerify: true })).rejects.toThrow(/https:\/\/127/);
  });

  test('may be anything where nobody is to verify', async () => {
    expect(await tagsOf(hostOf(plain), { tlsVerify: false })).toEqual(TAGS);
    expect(await tagsOf(hostOf(tls), { tlsVerify: false })).toEqual(TAGS);
  });

  test('leads through the proxy that the environment names, unless the host is left out there', async () => {
    const proxied: string[] = [];
    const proxy = createHttp((_, response) => response.writeHead(502).end()).listen(0, '127.0.0.1');
    proxy.on('connect', ({ url = '' }, socket) => {
      proxied.push(url);
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    await once(proxy, 'listening');
    const env = { http_proxy: `http://${hostOf(proxy)}`, https_proxy: `http://${hostOf(proxy)}` };
    await expect(tagsOf('registry.example', { env })).rejects.toThrow();
    expect(proxied).toEqual(['registry.example:443']);
    expect(await tagsOf(hostOf(plain), { env: { ...env, no_proxy: '127.0.0.1' } })).toEqual(TAGS);
    proxy.close();
  });
});
