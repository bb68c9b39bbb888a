/**
 * A proxy on loopback that passes requests on to a real server, a registry or S3, and spoils those that a test picks:
 * by a rule, or by chance that a seed decides.
 *
 * What Jepsen calls a nemesis. It changes nothing else: the Host header is passed on as it came, so that signatures
 * hold, and bodies are not read unless a fault needs them.
 */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is done to one request; undefined lets it pass. */
export type Fault =
  /** An answer of the proxy's own; the server never sees the request. */
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
  /** The request is passed on after so many milliseconds; not at all if the client has gone by then. */
  | { readonly kind: 'slow'; readonly milliseconds: number }
  /**
   * The request is read whole and delivered when `until` resolves, also where the client has gone meanwhile: what a
   * network or a queue inside storage does.
   */
  | { readonly kind: 'hold'; readonly until: Promise<unknown> }
  /** The request is delivered so many times more, one after the other; the client gets the first answer. */
  | { readonly kind: 'duplicate'; readonly times: number; readonly milliseconds?: number }
  /** Nothing is ever answered, and the server is not asked. */
  | { readonly kind: 'hang' }
  /** `Expect: 100-continue` is not answered; the request itself is passed on if its body comes all the same. */
  | { readonly kind: 'no-continue' }
  /** These request headers are left out on the way: a server that does not know them. */
  | { readonly kind: 'strip'; readonly headers: readonly string[] };

/** A request that came. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** Decides on a request. */
export type Chooser = (seen: Seen) => Fault | undefined;

/** A running proxy. */
export interface FaultProxy {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly url: string;
  /** All requests, in the order in which they came; empty where the proxy was told to keep none. */
  readonly seen: readonly Seen[];
  /**
   * How many requests came, and how many of them were spoilt, by the kind of the fault; an answer of the proxy's own
   * counts by its status.
   */
  readonly counts: { requests: number; readonly faults: Map<string, number> };
  /** Decides on each request; may be changed at any time. */
  fault: Chooser;
  /** Resolves once everything that was held or duplicated has been delivered. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy to `target` (`http://127.0.0.1:port`). `keepSeen`: false for runs of many requests. */
export async function startFaultProxy(
  target: string,
  { keepSeen = true }: { readonly keepSeen?: boolean } = {},
): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true });
  const seen: Seen[] = [];
  const counts = { requests: 0, faults: new Map<string, number>() };
  const late = new Set<Promise<unknown>>();
  const proxy = { fault: (): Fault | undefined => undefined } as Pick<FaultProxy, 'fault'>;

  function decide(question: IncomingMessage): { readonly one: Seen; readonly fault: Fault | undefined } {
    const one: Seen = { method: question.method ?? '', path: question.url ?? '', headers: question.headers };
    if (keepSeen) seen.push(one);
    counts.requests += 1;
    const fault = proxy.fault(one);
    if (fault !== undefined) {
      const kind = fault.kind === 'answer' ? String(fault.status) : fault.kind;
      counts.faults.set(kind, (counts.faults.get(kind) ?? 0) + 1);
    }
    return { one, fault };
  }

  function ask({ method, path, headers }: Seen, stripped: readonly string[] = []): ReturnType<typeof request> {
    // `Expect` is answered here.
    const without = new Set(['expect', ...stripped]);
    const passed = Object.fromEntries(Object.entries(headers).filter(([name]) => !without.has(name)));
    return request({ hostname, port, method, path, headers: passed, agent });
  }

  /** Sends a request whose body is known. Null: the server gave no answer. */
  async function deliver(one: Seen, body: Buffer): Promise<IncomingMessage | null> {
    const asked = ask(one);
    asked.end(body);
    try {
      const [given] = (await once(asked, 'response')) as [IncomingMessage];
      return given;
    } catch {
      return null;
    }
  }

  function keepTrack<T>(work: Promise<T>): Promise<T> {
    late.add(work);
    void work.catch(() => undefined).finally(() => late.delete(work));
    return work;
  }

  async function handle(
    question: IncomingMessage,
    answer: ServerResponse,
    one: Seen,
    fault: Fault | undefined,
  ): Promise<void> {
    switch (fault?.kind) {
      case 'answer':
        question.resume();
        await once(question, 'end');
        answer
          .writeHead(fault.status, { 'content-type': 'text/plain', ...fault.headers })
          .end(one.method === 'HEAD' ? undefined : fault.body);
        return;
      case 'hang':
        question.resume();
        return;
      case 'hold':
      case 'duplicate':
        return deliverLate(question, answer, one, fault);
      case 'drop':
        if (fault.when === 'after') break;
        question.destroy();
        return;
      case 'slow':
        await sleep(fault.milliseconds);
        if (answer.destroyed) return;
        break;
      default:
    }
    const asked = ask(one, fault?.kind === 'strip' ? fault.headers : []);
    question.on('error', () => asked.destroy());
    question.pipe(asked);
    const [given] = (await once(asked, 'response')) as [IncomingMessage];
    if (fault?.kind === 'drop') {
      given.resume();
      await once(given, 'end');
      answer.destroy();
      return;
    }
    await passOn(given, answer, one, fault);
  }

  async function deliverLate(
    question: IncomingMessage,
    answer: ServerResponse,
    one: Seen,
    fault: Extract<Fault, { kind: 'hold' | 'duplicate' }>,
  ): Promise<void> {
    const body = await buffer(question);
    const first = keepTrack(
      (async () => {
        if (fault.kind === 'hold') await fault.until;
        return deliver(one, body);
      })(),
    );
    if (fault.kind === 'duplicate') {
      void keepTrack(
        (async () => {
          await first;
          for (let times = 0; times < fault.times; times += 1) {
            if (fault.milliseconds !== undefined) await sleep(fault.milliseconds);
            (await deliver(one, body))?.resume();
          }
        })(),
      );
    }
    const given = await first;
    if (given === null || answer.destroyed) {
      given?.resume();
      answer.destroy();
    } else await passOn(given, answer, one, undefined);
  }

  async function passOn(
    given: IncomingMessage,
    answer: ServerResponse,
    one: Seen,
    fault: Fault | undefined,
  ): Promise<void> {
    answer.writeHead(given.statusCode ?? 502, given.headers);
    if (one.method === 'HEAD') answer.flushHeaders();
    answer.on('close', () => given.destroy());
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
    const { one, fault } = decide(question);
    handle(question, answer, one, fault).catch(() => answer.destroy());
  });
  server.on('checkContinue', (question: IncomingMessage, answer: ServerResponse) => {
    const { one, fault } = decide(question);
    if (fault?.kind !== 'no-continue') answer.writeContinue();
    handle(question, answer, one, fault).catch(() => answer.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const host = `127.0.0.1:${String(address.port)}`;
  return Object.assign(proxy, {
    host,
    url: `http://${host}`,
    seen,
    counts,
    settled: async () => {
      while (late.size > 0) await Promise.allSettled(late);
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      agent.destroy();
    },
  });
}
