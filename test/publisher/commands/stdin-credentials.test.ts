/** Passwords come by standard input, so that no process list shows them. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readCreds, readCredsByHost } from '../../../src/publisher/cli/stdin-credentials.ts';
import { openRegistryAccess } from '../../../src/publisher/sources/registry/access.ts';
import { titleOf } from '../../attacks.ts';
import { nameOf, Bucket } from '../gc-bucket.ts';
import { runGantry } from './command-line.ts';

const input = (text: string): Readable => Readable.from([Buffer.from(text)]);

test('USER:PASSWORD may end with a line break and contain colons and spaces', async () => {
  expect(await readCreds(input('user:pass word:1\n'))).toBe('user:pass word:1');
  expect(await readCreds(input('user:'))).toBe('user:');
});

test.each(['', '\n', 'user', ':password', 'a:b\nc:d', 'x'.repeat(70_000)])('refuses %j', async (text) => {
  await expect(readCreds(input(text))).rejects.toMatchObject({ kind: 'usage' });
});

test('lines give each registry its own, and an error quotes no password', async () => {
  const text = '# comment\ndocker.io user:secret\n\nlocalhost:5000\tother:a b\r\n';
  expect([...(await readCredsByHost(input(text)))]).toEqual([
    ['docker.io', 'user:secret'],
    ['localhost:5000', 'other:a b'],
  ]);
  for (const bad of ['', 'docker.io secret', 'user:secret', 'a b:secret\na b:secret']) {
    const error: unknown = await readCredsByHost(input(bad)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: 'usage' });
    expect((error as Error).message).not.toContain('secret');
  }
});

test('a registry gets the line of its host, and no other one', async () => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    if (request.headers.authorization === undefined)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{"name":"a/b","tags":["v1"]}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const env = { HOME: '/nonexistent' };
  const credsByHost = new Map([
    ['elsewhere.example', 'other:never'],
    [host, 'user:right'],
  ]);
  const access = openRegistryAccess({ env, credsByHost });
  try {
    const { client } = await access.to({ host, name: nameOf('a/b') });
    await client.tags(nameOf('a/b')).catch(() => undefined);
    expect(seen).toContain(`Basic ${Buffer.from('user:right').toString('base64')}`);
    expect(seen.join()).not.toContain(Buffer.from('other:never').toString('base64'));
  } finally {
    await access.close();
    server.close();
  }
});

test.each([
  ['publish', 'docker://localhost/a/b:c', 'a/b:c', '--creds', 'a:b', '--creds-stdin'],
  ['publish', 'dir:nowhere', 'a/b:c', '--creds-stdin'],
  ['doctor', 'http://127.0.0.1:1', '--creds', 'a:b', '--creds-stdin'],
])('%s refuses --creds-stdin where it contradicts the rest', async (...args) => {
  expect((await runGantry(new Bucket(), args)).code).toBe(2);
});

test(titleOf('password-listed'), async () => {
  for (const verb of ['publish', 'doctor'])
    expect((await runGantry(new Bucket(), [verb, '--help'])).stdout.replaceAll(/\s+/g, ' ')).toMatch(
      /other users see it in the process list: prefer --creds-stdin/,
    );
});
