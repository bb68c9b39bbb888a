/** One registry made of two programs: the Worker answers what is read, `gantry receive` takes what is pushed. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { ENDPOINTS, type StartedEndpoint } from './endpoints.ts';

/**
 * Starts a proxy that sends GET and HEAD to `serve` and all else, and everything about uploads, to `receive`. Both must
 * have the same store. So a suite that pushes looks at what the Worker makes of it.
 */
export async function startSplit(serve: StartedEndpoint, receive: StartedEndpoint): Promise<StartedEndpoint> {
  const server = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/' } = incoming;
    const isRead = (method === 'GET' || method === 'HEAD') && !url.includes('/blobs/uploads/');
    forward(incoming, outgoing, isRead ? serve : receive);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    title: ENDPOINTS.split,
    url: `http://127.0.0.1:${String(address.port)}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function forward(incoming: IncomingMessage, outgoing: ServerResponse, { url, login }: StartedEndpoint): void {
  const { method, headers } = incoming;
  const authorization =
    login === undefined ? {} : { authorization: `Basic ${btoa(`${login.username}:${login.password}`)}` };
  const own = { ...headers, host: new URL(url).host, ...authorization };
  const forwarded = request(`${url}${incoming.url ?? '/'}`, { method, headers: own }, (response) => {
    const { location } = response.headers;
    // The next request of an upload comes to the proxy, too.
    const moved = location === undefined ? {} : { location: location.replace(url, '') };
    outgoing.writeHead(response.statusCode ?? 502, { ...response.headers, ...moved });
    response.pipe(outgoing);
  });
  forwarded.once('error', (error) => outgoing.destroy(error));
  incoming.pipe(forwarded);
}
