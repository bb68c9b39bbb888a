import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { createClient } from '../../../src/publisher/stores/s3-target.ts';

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
  const client = createClient({
    endpoint: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    region: 'auto',
    accessKeyId: 'a',
    secretAccessKey: 'b',
  });
  try {
    await client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body: Buffer.alloc(3 * 1024 * 1024) }));
    expect(seen).toEqual([undefined]);
  } finally {
    client.destroy();
    server.closeAllConnections();
    server.close();
  }
});
