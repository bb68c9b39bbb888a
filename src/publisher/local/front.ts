/**
 * The listener in front of workerd. Registry clients try TLS first, and plain HTTP once that fails. workerd takes a
 * ClientHello for the start of a request and waits, which costs a client ten seconds each time. This listener refuses
 * TLS at once and passes everything else through unchanged.
 */
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

// RFC 8446, 5.1: the first byte of a TLS handshake record. No HTTP method begins with it.
const TLS_HANDSHAKE = 0x16;

// The answer of Go's net/http, which Go clients report as "server gave HTTP response to HTTPS client".
const REFUSAL =
  'HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nClient sent an HTTPS request to an HTTP server.\n';

/** A listener. */
export interface Front {
  readonly host: string;
  readonly port: number;
  /** Starts to forward connections, including those that have waited. */
  open(upstream: { readonly host: string; readonly port: number }): void;
  /** Stops listening and closes all connections. */
  close(): Promise<void>;
}

/** Starts to listen. Rejects with Node's error (`EADDRINUSE`, `EACCES` …). */
export async function listenInFront(host: string, port: number): Promise<Front> {
  const sockets = new Set<Socket>();
  let open: (upstream: { readonly host: string; readonly port: number }) => void = () => undefined;
  const upstream = new Promise<{ readonly host: string; readonly port: number }>((resolve) => (open = resolve));
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  // A client may close its half and still read, so each half is closed separately.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    keep(client);
    client.on('error', () => client.destroy());
    client.once('data', (first: Buffer) => {
      if (first[0] === TLS_HANDSHAKE) {
        client.end(REFUSAL);
        client.resume();
        client.setTimeout(1_000, () => client.destroy());
        return;
      }
      client.pause();
      void upstream.then((to) => {
        if (client.destroyed) return;
        const worker = connect({ ...to, allowHalfOpen: true, noDelay: true });
        keep(worker);
        worker.on('error', () => client.destroy());
        worker.once('close', () => client.destroy());
        client.once('close', () => worker.destroy());
        worker.write(first);
        client.pipe(worker);
        worker.pipe(client);
      });
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    host,
    port: (server.address() as AddressInfo).port,
    open,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}
