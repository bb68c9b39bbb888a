import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHttpFetch, type HttpFetch } from '../../../../src/publisher/sources/registry/http-fetch.ts';

let server: Server;
let way: HttpFetch;
let answer: RequestListener;
let connections: Socket[];

beforeEach(async () => {
  connections = [];
  server = createServer((question, response) => {
    answer(question, response);
  });
  server.on('connection', (socket) => connections.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  way = createHttpFetch({ rejectUnauthorized: true, connectMs: 10_000 });
});

afterEach(async () => {
  await way.close();
  server.close();
  server.closeAllConnections();
});

function ask(
  method = 'GET',
  { signal = new AbortController().signal, body }: { signal?: AbortSignal; body?: string } = {},
) {
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/v2/`;
  return way.fetch(url, {
    method,
    headers: { 'x-asked': 'so' },
    redirect: 'manual',
    signal,
    ...(body === undefined ? {} : { body }),
  });
}

async function textOf(asked: ReturnType<typeof ask>): Promise<string> {
  const { body } = await asked;
  return body === null ? '' : text(body);
}

describe('fetch over Node’s http', () => {
  test('gives status, headers and body, and sends its own', async () => {
    answer = (question, response) => {
      void text(question).then((sent) => {
        response.writeHead(201, {
          'www-authenticate': ['Basic', 'Bearer'],
          'x-sent': `${String(question.method)} ${String(question.headers['x-asked'])} ${sent}`,
        });
        response.end('made');
      });
    };
    const asked = ask('POST', { body: 'a=b' });
    const { status, headers } = await asked;
    expect({
      status,
      asked: headers.get('WWW-Authenticate'),
      sent: headers.get('x-sent'),
      none: headers.get('link'),
      has: headers.has('link'),
    }).toEqual({
      status: 201,
      asked: 'Basic, Bearer',
      sent: 'POST so a=b',
      none: null,
      has: false,
    });
    expect(await textOf(asked)).toBe('made');
  });

  test('keeps its connection after a HEAD', async () => {
    answer = (_, response) => response.setHeader('content-length', 1_000_000).end();
    for (let at = 0; at < 5; at++) expect((await ask('HEAD')).body).toBeNull();
    expect(connections).toHaveLength(1);
  });

  test('keeps its connection where a short body is let go', async () => {
    answer = (_, response) => response.writeHead(401, { 'content-length': 9 }).end('not so: 1');
    for (let at = 0; at < 3; at++) {
      await (await ask()).body?.cancel();
    }
    await textOf(ask());
    expect(connections.every((socket) => !socket.destroyed)).toBe(true);
  });

  test('closes its connection where a long body is let go', async () => {
    answer = (_, response) => void response.writeHead(200, { 'content-length': 2 ** 30 }).write('a');
    const { body } = await ask();
    const closed = once(connections[0] ?? server, 'close');
    await body?.cancel();
    await closed;
  });

  test.each([
    ['gzip', gzipSync('{"tags":[]}')],
    ['br', brotliCompressSync('{"tags":[]}')],
    ['br, gzip', gzipSync(brotliCompressSync('{"tags":[]}'))],
    ['identity', Buffer.from('{"tags":[]}')],
    ['of-their-own', Buffer.from('{"tags":[]}')],
  ])('unpacks what came packed unasked: %s', async (coding, bytes) => {
    answer = (_, response) => response.writeHead(200, { 'content-encoding': coding }).end(bytes);
    expect(await textOf(ask())).toBe('{"tags":[]}');
  });

  test.each(['identity', 'gzip'])('fails where the body breaks off: %s', async (coding) => {
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': 1_000, 'content-encoding': coding });
      response.write(gzipSync('a').subarray(0, 12), () => response.destroy());
    };
    await expect(textOf(ask())).rejects.toThrow();
  });

  test('fails with the code of the reason where nobody answers', async () => {
    server.close();
    await once(server, 'close');
    const url = 'http://127.0.0.1:1/';
    await expect(
      way.fetch(url, { method: 'GET', headers: {}, redirect: 'manual', signal: new AbortController().signal }),
    ).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });

  test.each(['before the answer', 'in the midst of it'])('ends when it is told to: %s', async (when) => {
    const stop = new AbortController();
    answer = (_, response) => {
      if (when === 'before the answer') stop.abort();
      else response.writeHead(200).write('a');
    };
    const asked = ask('GET', { signal: stop.signal });
    if (when === 'before the answer') await expect(asked).rejects.toThrow(/abort/i);
    else {
      await asked;
      const rest = textOf(asked);
      stop.abort();
      await expect(rest).rejects.toThrow(/abort/i);
    }
  });
});
