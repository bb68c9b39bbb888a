/** A proxy on loopback that passes requests on to a real server, and spoils the answers that a test picks. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is done to one request; undefined lets it pass. */
export type Fault =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The connection ends without an answer: before the server is asked, or after it did what was asked. */
  | { readonly kind: 'drop'; readonly when: 'before' | 'after' }
  /** The body ends after so many bytes. */
  | { readonly kind: 'cut'; readonly after: number }
  /** One bit of the body is another. */
  | { readonly kind: 'corrupt' }
  | { readonly kind: 'slow'; readonly milliseconds: number };

/** A request that came. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** A running proxy. */
export interface FaultProxy {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** All requests, in the order in which they came. */
  readonly seen: readonly Seen[];
  /** Decides on each request; may be changed at any time. */
  fault: (seen: Seen) => Fault | undefined;
  close(): Promise<void>;
}

/**
 * Starts a proxy to `target` (`http://127.0.0.1:port`). The Host header is passed on as it came, so that signatures
 * hold.
 */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const seen: Seen[] = [];
  const proxy = { fault: (): Fault | undefined => undefined } as { fault: FaultProxy['fault'] };
  const { hostname, port } = new URL(target);

  async function handle(question: IncomingMessage, answer: ServerResponse): Promise<void> {
    const one: Seen = { method: question.method ?? '', path: question.url ?? '', headers: question.headers };
    seen.push(one);
    const fault = proxy.fault(one);
    if (fault?.kind === 'answer') {
      question.resume();
      await once(question, 'end');
      answer
        .writeHead(fault.status, { 'content-type': 'text/plain', ...fault.headers })
        .end(one.method === 'HEAD' ? undefined : fault.body);
      return;
    }
    if (fault?.kind === 'drop' && fault.when === 'before') {
      question.destroy();
      return;
    }
    if (fault?.kind === 'slow') await sleep(fault.milliseconds);
    const asked = request({ hostname, port, method: one.method, path: one.path, headers: question.headers });
    question.on('error', () => asked.destroy());
    question.pipe(asked);
    const [given] = (await once(asked, 'response')) as [IncomingMessage];
    if (fault?.kind === 'drop') {
      given.resume();
      await once(given, 'end');
      answer.destroy();
      return;
    }
    answer.writeHead(given.statusCode ?? 502, given.headers);
    if (one.method === 'HEAD') answer.flushHeaders();
    let sent = 0;
    for await (const chunk of given as AsyncIterable<Buffer>) {
      const bytes = fault?.kind === 'cut' ? chunk.subarray(0, Math.max(0, fault.after - sent)) : chunk;
      if (fault?.kind === 'corrupt' && sent === 0 && bytes.length > 0)
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      sent += bytes.length;
      if (bytes.length > 0 && !answer.write(bytes)) await once(answer, 'drain');
      if (fault?.kind === 'cut' && sent >= fault.after) {
        // What was written goes out first, then the connection breaks.
        answer.socket?.end();
        given.destroy();
        return;
      }
    }
    answer.end();
  }

  const server = createServer((question, answer) => {
    handle(question, answer).catch(() => answer.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return Object.assign(proxy, {
    host: `127.0.0.1:${String(address.port)}`,
    seen,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  });
}
