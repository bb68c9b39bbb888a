/** The push endpoint: an HTTP server that publishes what clients push. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { CommandError } from '../cli/errors.ts';
import { ImmutableTagError } from '../../bucket/settings/immutable-tags.ts';
import { StorageError } from '../../registry/store.ts';
import { messageOf } from '../../registry/values/error-message.ts';
import { answerPush } from './endpoint.ts';
import { type PushContext, send } from './push-request.ts';
import { PushError } from './push-error.ts';

/** Where and for whom to listen. */
export interface ReceiveOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** What clients log in with; null: anybody on this machine may push. */
  readonly login: { readonly user: string; readonly password: string } | null;
  /** Takes one line a request that failed on this side. */
  readonly onFailure: (line: string) => void;
}

/** A running endpoint. */
export interface ReceiveServer {
  readonly host: string;
  readonly port: number;
  /** Waits for requests that are being answered, and stops. */
  close(): Promise<void>;
}

/** Starts the endpoint. Throws {@link CommandError} where it cannot listen. */
export async function startReceiver(context: PushContext, options: ReceiveOptions): Promise<ReceiveServer> {
  const { host, port, login } = options;
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    void handle(context, request, response, options);
  });
  await listen(server, host, port);
  const address = server.address() as AddressInfo;
  return {
    host,
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeIdleConnections();
        // A client that keeps a push open must not keep the command from ending.
        setTimeout(() => server.closeAllConnections(), login === null ? 1_000 : 5_000).unref();
      }),
  };
}

/** Answers a request; whatever fails becomes an error body of the OCI distribution spec. */
export async function handle(
  context: PushContext,
  request: IncomingMessage,
  response: ServerResponse,
  { login, onFailure }: Pick<ReceiveOptions, 'login' | 'onFailure'>,
): Promise<void> {
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  try {
    mustBeAllowed(request, login);
    await answerPush(context, request, response);
  } catch (error) {
    const told = toPushError(error);
    if (told.status >= 500) {
      onFailure(`${request.method ?? ''} ${request.url ?? ''}: ${messageOf(error)}`);
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    // The rest of the body is not read, so the connection cannot be reused.
    const unread = !request.complete && request.method !== 'GET' && request.method !== 'HEAD';
    send(
      response,
      told.status,
      { 'content-type': 'application/json', ...(unread && { connection: 'close' }), ...told.headers },
      request.method === 'HEAD' ? null : told.body(),
    );
  }
}

/**
 * Without a login, only names of this machine are served: a page in a browser could otherwise reach the endpoint by a
 * name of its own that resolves to a loopback address ("DNS rebinding").
 */
function mustBeAllowed(request: IncomingMessage, login: ReceiveOptions['login']): void {
  if (login === null) {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    if (isLoopback(host)) return;
    throw new PushError('DENIED', `this endpoint serves only this machine, and the request was sent to ${host}`);
  }
  const given = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const expected = Buffer.from(`${login.user}:${login.password}`).toString('base64');
  if (given !== undefined && isSame(given, expected)) return;
  throw new PushError('UNAUTHORIZED', 'log in with the user and password that gantry receive was started with', {
    headers: { 'www-authenticate': 'Basic realm="gantry receive"' },
  });
}

/** Whether a host name or address always means this machine (RFC 6761, 6.3; RFC 5735, 3). */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (isIP(bare) === 4) return bare.startsWith('127.');
  return bare === '::1' || bare === 'localhost' || bare.endsWith('.localhost');
}

function isSame(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

function toPushError(error: unknown): PushError {
  if (error instanceof PushError) return error;
  if (error instanceof CommandError) {
    const hint = error.hint === undefined ? '' : ` ${error.hint}`;
    return new PushError('MANIFEST_INVALID', `${error.message}.${hint}`, { cause: error });
  }
  // The OCI distribution spec has no code for it. Docker Hub answers 403, Harbor 412, and Amazon ECR 400; every client
  // prints the message of a DENIED and tries no more.
  if (error instanceof ImmutableTagError) {
    return new PushError('DENIED', `${error.message}. ${error.hint}`, { cause: error });
  }
  if (error instanceof StorageError) {
    return new PushError('UNAVAILABLE', `the bucket did not accept the write: ${error.message}`, {
      cause: error,
      headers: { 'retry-after': '5' },
    });
  }
  return new PushError('UNKNOWN', 'internal error; the output of gantry receive has the details', { cause: error });
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CommandError(`gantry receive cannot listen on ${host}:${String(port)} (${code ?? 'unknown error'})`, {
      cause,
      hint: 'Choose another address with --listen, or end the program that uses this one.',
    });
  }
}
