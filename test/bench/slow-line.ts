/**
 * A long line to a server of this machine: everything arrives some milliseconds later, each way, and nothing slower
 * than that.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A running line. */
export interface SlowLine {
  /** `127.0.0.1:port`. */
  readonly host: string;
  close(): void;
}

/** Opens a line to `host`, of half a round trip each way. */
export async function openSlowLine(host: string, roundTrip: number): Promise<SlowLine> {
  const [name = '', port = ''] = host.split(':');
  const sockets = new Set<Socket>();
  const keep = (socket: Socket, other: Socket): void => {
    sockets.add(socket);
    socket.on('data', (chunk) => setTimeout(() => other.write(chunk), roundTrip / 2));
    socket.on('end', () => setTimeout(() => other.end(), roundTrip / 2));
    socket.on('error', () => other.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      setTimeout(() => other.destroy(), roundTrip / 2);
    });
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: name, port: Number(port), allowHalfOpen: true, noDelay: true });
    keep(client, upstream);
    keep(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
