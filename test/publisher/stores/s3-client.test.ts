import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { S3Client } from '../../../src/publisher/stores/s3/client.ts';

// R2's documentation of its S3 interface says that it does not support 100; a server that stays silent costs seconds.
it('sends a large body without Expect: 100-continue', async () => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.expect);
    request.resume().on('end', () => response.setHeader('etag', '"1"').end());
  });
  server.on('checkContinue', (request) => {
    // Never says 100, as R2.
    seen.push(request.headers.expect);
    request.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    region: 'auto',
    keys: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  try {
    const body = Buffer.alloc(3 * 1024 * 1024);
    (await client.send({ method: 'PUT', bucket: 'bucket', key: 'key', body })).body.resume();
    expect(seen).toEqual([undefined]);
  } finally {
    client.destroy();
    server.closeAllConnections();
    server.close();
  }
});
