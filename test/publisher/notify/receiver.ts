/** A receiver of messages on this machine, which answers as it is told and keeps what it got. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request that came. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A running receiver. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** Answers of the next requests, in order: a status, perhaps with headers; a cut connection; or none. Then 204. */
  readonly answers: (number | { readonly status: number; readonly headers: Record<string, string> } | 'cut' | 'none')[];
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const answers: Receiver['answers'] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      received.push({ path: request.url ?? '', headers: request.headers, body });
      const answer = answers.length === 0 ? 204 : answers.shift();
      if (answer === 'none') return;
      if (answer === 'cut') response.destroy();
      else if (typeof answer === 'object') response.writeHead(answer.status, answer.headers).end();
      else response.writeHead(answer ?? 204).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/hook?key=in-the-address`,
    received,
    answers,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}
