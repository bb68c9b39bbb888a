/** The proxy does what it says, to a server that notes what came. */
import { createServer, request, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../interop/programs.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './proxy.ts';
import { byChance, byRules, html } from './random.ts';

let server: Server;
let proxy: FaultProxy;
let came: string[] = [];

beforeAll(async () => {
  server = createServer((question, answer) => {
    void text(question).then((body) => {
      came.push(`${question.method ?? ''} ${question.url ?? ''} ${question.headers['if-match'] ?? '-'} ${body}`);
      answer.end('0123456789');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());
beforeEach(async () => {
  came = [];
  proxy = await startFaultProxy(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
});
afterEach(() => proxy.close());

const put = (signal?: AbortSignal): Promise<Response> =>
  fetch(`${proxy.url}/key`, {
    method: 'PUT',
    body: 'body',
    headers: { 'if-match': '"a"' },
    ...(signal !== undefined && { signal }),
  });

describe('a fault', () => {
  it.each<[string, Fault, number, string]>([
    ['html with status 200', html(200), 200, 'html'],
    ['html with status 404', html(404), 404, 'html'],
    ['an answer of its own', { kind: 'answer', status: 429, body: 'later' }, 429, 'later'],
  ])('%s: the server is not asked', async (_, fault, status, body) => {
    proxy.fault = () => fault;
    const answer = await put();
    expect(answer.status).toBe(status);
    expect(await answer.text()).toContain(body);
    expect(came).toEqual([]);
  });

  it.each<[string, Fault, number]>([
    ['dropped before', { kind: 'drop', when: 'before' }, 0],
    ['dropped after', { kind: 'drop', when: 'after' }, 1],
    ['cut', { kind: 'cut', after: 3 }, 1],
  ])('%s: the client gets no whole answer, the server got it or not', async (_, fault, times) => {
    proxy.fault = () => fault;
    await expect(put().then((answer) => answer.text())).rejects.toThrow();
    expect(came).toHaveLength(times);
  });

  it('corrupt: one bit of the body is another', async () => {
    proxy.fault = () => ({ kind: 'corrupt' });
    const body = Buffer.from(await (await put()).arrayBuffer());
    const bits = [...body]
      .map((byte, index) => byte ^ ('0123456789'.codePointAt(index) ?? 0))
      .filter((difference) => difference !== 0);
    expect(bits).toEqual([1]);
  });

  it('hold: the request is delivered when it is let go, although the client has gone', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    proxy.fault = () => ({ kind: 'hold', until: promise });
    const leave = new AbortController();
    const asked = put(leave.signal);
    asked.catch(() => undefined);
    await until('the request', () => Promise.resolve(proxy.counts.requests === 1));
    leave.abort();
    await expect(asked).rejects.toThrow();
    expect(came).toEqual([]);
    resolve(undefined);
    await until('delivery', () => Promise.resolve(came.length === 1));
    await proxy.settled();
    expect(came).toEqual(['PUT /key "a" body']);
  });

  it('duplicate: the server gets it again, the client one answer', async () => {
    proxy.fault = () => ({ kind: 'duplicate', times: 2 });
    expect(await (await put()).text()).toBe('0123456789');
    await proxy.settled();
    expect(came).toEqual(Array.from({ length: 3 }, () => 'PUT /key "a" body'));
  });

  it('strip: the server does not see the headers', async () => {
    proxy.fault = () => ({ kind: 'strip', headers: ['if-match'] });
    await put();
    expect(came).toEqual(['PUT /key - body']);
  });

  it('hang: nothing is answered', async () => {
    proxy.fault = () => ({ kind: 'hang' });
    const leave = new AbortController();
    const asked = put(leave.signal);
    await until('the request', () => Promise.resolve(proxy.counts.requests === 1));
    leave.abort();
    await expect(asked).rejects.toThrow();
    expect(came).toEqual([]);
  });

  it.each([
    ['without a fault', undefined, 1],
    ['no-continue', { kind: 'no-continue' } as const, 0],
  ])('%s: "100 Continue" comes, or not', async (_, fault, times) => {
    proxy.fault = () => fault;
    let continues = 0;
    const asked = request(`${proxy.url}/key`, {
      method: 'PUT',
      headers: { expect: '100-continue', 'content-length': '4' },
    });
    asked.on('continue', () => (continues += 1));
    asked.flushHeaders();
    await until('the request', () => Promise.resolve(proxy.counts.requests === 1));
    if (fault === undefined) await until('100 Continue', () => Promise.resolve(continues === 1));
    asked.end('body');
    await once(asked, 'response');
    expect([continues, came.length]).toEqual([times, 1]);
  });
});

describe('choosing', () => {
  const seen = (path: string, method = 'GET') => ({ method, path, headers: {} });

  it('by rules: the first that fits, so often as it says', () => {
    const choose = byRules([
      { method: 'PUT', path: /a$/, times: 1, fault: { kind: 'hang' } },
      { path: /a$/, fault: { kind: 'corrupt' } },
    ]);
    expect(['PUT', 'PUT', 'GET'].map((method) => choose(seen('/a', method))?.kind)).toEqual([
      'hang',
      'corrupt',
      'corrupt',
    ]);
    expect(choose(seen('/b', 'PUT'))).toBeUndefined();
  });

  it('by chance: the same seed spoils the same requests, in whatever order they come', () => {
    const chances = [
      { weight: 1, fault: (): Fault => ({ kind: 'corrupt' }) },
      { weight: 1, when: ({ method }: { method: string }) => method === 'PUT', fault: (): Fault => ({ kind: 'hang' }) },
    ];
    const paths = Array.from({ length: 200 }, (_, index) => `/${String(index)}`);
    const outcome = (order: readonly string[], seed: string): string[] => {
      const choose = byChance(seed, 0.3, chances);
      return order.map((path) => `${path} ${choose(seen(path))?.kind ?? '-'}`).sort();
    };
    expect(outcome(paths, 'a')).toEqual(outcome([...paths].reverse(), 'a'));
    expect(outcome(paths, 'a')).not.toEqual(outcome(paths, 'b'));
    const spoilt = outcome(paths, 'a').filter((line) => !line.endsWith('-'));
    expect(spoilt.length).toBeGreaterThan(30);
    expect(spoilt.length).toBeLessThan(90);
    expect(spoilt.every((line) => line.endsWith('corrupt'))).toBe(true);
  });
});
