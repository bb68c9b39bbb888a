/**
 * The part of `fetch` that a registry client needs, over Node's `http`. It keeps connections open after a HEAD, which
 * undici closes, and a sync consists mostly of HEADs. It loads no modules that a command has not loaded anyway.
 */
import { Agent as PlainAgent, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import type { Fetch, FetchResponse } from '../../../origin/transport.ts';

/** An idle connection is closed after this time, in milliseconds: most servers close it after five seconds or more. */
const IDLE_MS = 4_000;

/** A cancelled body of at most this many bytes is read to its end, so that the connection stays open. */
const DRAIN_MAX = 64 * 1024;

/** A `fetch` with its connections. */
export interface HttpFetch {
  readonly fetch: Fetch;
  /** Closes all connections, even those in use. */
  close(): Promise<void>;
}

/** Creates a fetch. `connectMs` is the connection timeout. Errors are Node's own, with their `code`. */
export function createHttpFetch({
  rejectUnauthorized,
  connectMs,
}: {
  readonly rejectUnauthorized: boolean;
  readonly connectMs: number;
}): HttpFetch {
  const plain = new PlainAgent({ keepAlive: true, timeout: IDLE_MS });
  const tls = new TlsAgent({ keepAlive: true, timeout: IDLE_MS, rejectUnauthorized });

  const send = (url: string, { method, headers, body, signal }: Parameters<Fetch>[1]): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const options = { method, headers: { accept: '*/*', ...headers }, signal };
      const request = url.startsWith('https:')
        ? tlsRequest(url, { ...options, agent: tls })
        : plainRequest(url, { ...options, agent: plain });
      request.on('response', resolve);
      // After the answer, errors reach the reader of its body.
      request.on('error', reject);
      request.on('socket', (socket) => {
        if (!socket.connecting) return;
        const timer = setTimeout(
          () =>
            request.destroy(
              Object.assign(new Error(`no connection within ${String(connectMs)} ms`), { code: 'ETIMEDOUT' }),
            ),
          connectMs,
        );
        const made = (): void => {
          clearTimeout(timer);
        };
        socket.once(url.startsWith('https:') ? 'secureConnect' : 'connect', made).once('close', made);
      });
      request.end(body);
    });

  return {
    fetch: async (url, init) => {
      const response = await send(url, init);
      return { status: response.statusCode ?? 0, headers: headersOf(response), body: await bodyOf(response, init) };
    },
    close: () => {
      plain.destroy();
      tls.destroy();
      return Promise.resolve();
    },
  };
}

function headersOf({ headers }: IncomingMessage): FetchResponse['headers'] {
  const get = (name: string): string | null => {
    const value = headers[name.toLowerCase()];
    return value === undefined ? null : typeof value === 'string' ? value : value.join(', ');
  };
  return { get, has: (name) => get(name) !== null };
}

async function bodyOf(
  response: IncomingMessage,
  { method, signal }: Pick<Parameters<Fetch>[1], 'method' | 'signal'>,
): Promise<ReadableStream<Uint8Array> | null> {
  // Ignore errors after cancellation.
  response.on('error', () => undefined);
  if (method === 'HEAD' || response.statusCode === 204 || response.statusCode === 304) {
    // It ends with its head, and only then is the connection free for the next request.
    await new Promise((resolve) => response.once('close', resolve).resume());
    return null;
  }
  const unpacked = await unpack(response);
  const chunks = unpacked.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array, undefined>;
  let reading = false;
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        reading = true;
        const next = await chunks.next();
        reading = false;
        // An aborted stream ends as if it were complete.
        signal.throwIfAborted();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      cancel: async () => {
        // A pending read might never finish.
        if (isShort(response) && !reading) {
          await chunks.return?.();
          unpacked.resume();
        } else unpacked.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * Decodes the content coding, as `fetch` does, for servers and proxies that compress unasked. Unknown codings stay as
 * they are.
 */
async function unpack(response: IncomingMessage): Promise<Readable> {
  const codings = (response.headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim());
  // An empty body is not decoded.
  if (codings.every((coding) => coding === '' || coding === 'identity') || response.headers['content-length'] === '0')
    return response;
  const { createBrotliDecompress, createGunzip, createInflate } = await import('node:zlib');
  const known = new Map<string, () => NodeJS.ReadWriteStream & Readable>([
    ['gzip', createGunzip],
    ['x-gzip', createGunzip],
    ['deflate', createInflate],
    ['br', createBrotliDecompress],
  ]);
  const makers = codings.flatMap((coding) => known.get(coding) ?? []);
  if (makers.length !== codings.length) return response;
  let unpacked: Readable = response;
  // The last coding was applied last. An error reaches the reader through the last stream.
  for (const make of makers.reverse()) unpacked = pipeline(unpacked, make(), () => undefined);
  return unpacked;
}

function isShort({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? Infinity) <= DRAIN_MAX;
}
