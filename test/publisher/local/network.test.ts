import { once } from 'node:events';
import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type OutboundNetwork, outboundNetwork, type Resolve } from '../../../src/publisher/local/network.ts';
import { startSimulator } from '../../../src/publisher/local/simulator.ts';
import { titleOf } from '../../attacks.ts';

const PUBLIC = { allow: ['public'] };
const addresses: Readonly<Record<string, readonly string[]>> = {
  'public.example': ['203.0.113.9', '2001:db8::1'],
  'inside.example': ['203.0.113.9', '10.0.0.7'],
  'mapped.example': ['::ffff:127.0.0.1'],
};
const resolve: Resolve = (host) =>
  host in addresses
    ? Promise.resolve((addresses[host] ?? []).map((address) => ({ address })))
    : Promise.reject(new Error('ENOTFOUND'));
const origins = (upstream: string): object => [{ name: 'a', pattern: '*', upstream }];

describe('the local Worker', () => {
  it.each<[string, Record<string, unknown>]>([
    ['there is no upstream', {}],
    ['the upstream is public', { ORIGINS: origins('https://public.example') }],
    ['its name does not resolve', { ORIGINS: JSON.stringify(origins('https://missing.example')) }],
    ['the key set is public', { ACCESS: { issuers: { a: { jwks: 'https://public.example/jwks' } } } }],
  ])('connects to public addresses only, where %s', async (_, bindings) => {
    expect(await outboundNetwork(bindings, {}, resolve)).toMatchObject(PUBLIC);
  });

  it.each<[string, Record<string, unknown>]>([
    ['an upstream is on this machine', { ORIGINS: origins('http://127.0.0.1:5000') }],
    ['the name of an upstream resolves to a private address', { ORIGINS: origins('https://inside.example/path') }],
    ['it resolves to a mapped one', { ORIGINS: JSON.stringify(origins('https://mapped.example')) }],
    ['a key set is on this machine', { ACCESS: '{"issuers":{"a":{"jwks":"http://localhost/jwks"}}}' }],
  ])('connects to all addresses, where %s', async (_, bindings) => {
    expect(await outboundNetwork(bindings, {}, resolve)).toBeUndefined();
  });

  it(titleOf('name-resolves-inside'), async () => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests++;
      response.end('inside');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const persist = await mkdtemp(join(tmpdir(), 'gantry-network-'));
    try {
      const { port } = server.address() as { port: number };
      const code = `export default { fetch: () => fetch('http://127.0.0.1:${String(port)}/').catch(() => new Response('refused')) };`;
      const fetchThrough = async (network: OutboundNetwork): Promise<string> => {
        const simulator = await startSimulator({ persist, bucket: 'b', worker: { code, options: {} }, network });
        try {
          return await (await fetch(simulator.worker ?? expect.fail('no Worker'))).text();
        } finally {
          await simulator.stop();
        }
      };
      expect(
        await fetchThrough(await outboundNetwork({ ORIGINS: origins('https://public.example') }, {}, resolve)),
      ).toBe('refused');
      expect(requests).toBe(0);
      expect(await fetchThrough(await outboundNetwork({ ORIGINS: origins('http://127.0.0.1') }, {}, resolve))).toBe(
        'inside',
      );
    } finally {
      server.close();
      await rm(persist, { recursive: true, force: true });
    }
  });
});
