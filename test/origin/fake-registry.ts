/**
 * A small registry with a token service, on loopback: each on a host of its own, and with a log of who showed what to
 * whom.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** A request as it came. */
export interface Shown {
  readonly to: 'registry' | 'auth' | 'storage';
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** What a test decides. Undefined: 404. */
export type Answering = (shown: Shown) =>
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Uint8Array;
    }
  | undefined;

/** Three servers. */
export interface FakeRegistry {
  readonly registry: URL;
  readonly auth: URL;
  readonly storage: URL;
  readonly log: readonly Shown[];
  answer: Answering;
  close(): Promise<void>;
}

/** Starts them. */
export async function startFakeRegistry(): Promise<FakeRegistry> {
  const log: Shown[] = [];
  const fake = { answer: () => undefined } as { answer: Answering };
  const handle = async (to: Shown['to'], question: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const chunk of question as AsyncIterable<Buffer>) parts.push(chunk);
    const { method = '', url = '', headers } = question;
    const shown: Shown = {
      to,
      method,
      path: url,
      authorization: headers.authorization,
      body: Buffer.concat(parts).toString(),
    };
    log.push(shown);
    const {
      status = 200,
      headers: given = {},
      body = '',
    } = fake.answer(shown) ?? { status: 404, body: '{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}' };
    response
      .writeHead(status, { 'content-length': String(Buffer.byteLength(body)), ...given })
      .end(method === 'HEAD' ? undefined : body);
  };
  const servers: Server[] = [];
  const start = async (to: Shown['to'], host: string): Promise<URL> => {
    const server = createServer(
      (question, response) => void handle(to, question, response).catch(() => response.destroy()),
    ).listen(0, host);
    servers.push(server);
    await once(server, 'listening');
    const address = server.address();
    return new URL(`http://${host}:${String(typeof address === 'object' ? address?.port : '')}`);
  };
  const [registry, auth, storage] = [
    await start('registry', '127.0.0.1'),
    await start('auth', '127.0.0.1'),
    await start('storage', '127.0.0.1'),
  ];
  return Object.assign(fake, {
    registry,
    auth,
    storage,
    log,
    close: async () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
        if (server.listening) await once(server, 'close');
      }
    },
  });
}
