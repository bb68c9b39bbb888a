/** A real S3 server on loopback: Miniflare's, which speaks for R2; and a proxy before it that can spoil answers. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator, type Simulator } from '../../../src/publisher/local/simulator.ts';
import { notedUploads } from '../../../src/publisher/local/upload-notes.ts';
import { steadyConnection } from '../../../src/publisher/stores/connection.ts';
import { S3Store, type S3StoreOptions } from '../../../src/publisher/stores/s3-store.ts';
import { S3Client } from '../../../src/publisher/stores/s3/client.ts';
import { type FaultProxy, startFaultProxy } from '../../faults/proxy.ts';

/** S3's smallest part. */
export const PART = 5 * 2 ** 20;

/** The server, the proxy, and stores over either. */
export interface S3Bed {
  readonly proxy: FaultProxy;
  readonly bucket: string;
  /** Variables that `--to s3://bucket` reads, with the proxy as the endpoint. */
  readonly env: NodeJS.ProcessEnv;
  /** A client of the server itself, to look at what came of it. */
  readonly client: S3Client;
  /** A store that goes through the proxy, or not. */
  store(way: 'proxy' | 'direct', options?: Partial<S3StoreOptions> & { readonly silentMs?: number }): S3Store;
  close(): Promise<void>;
}

/** Starts it. */
export async function startS3Bed(): Promise<S3Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-s3-'));
  const bucket = 'images';
  const simulator: Simulator = await startSimulator({ persist: join(folder, 'state'), bucket });
  const { accessKeyId, secretAccessKey, endpoint } = simulator;
  const proxy = await startFaultProxy(new URL(endpoint).origin);
  const behind = `http://${proxy.host}${new URL(endpoint).pathname}`;
  const clients: S3Client[] = [];
  const clientFor = (address: string, silentMs?: number): S3Client => {
    const client = new S3Client({
      endpoint: address,
      keys: { accessKeyId, secretAccessKey },
      region: 'auto',
      ...(silentMs !== undefined && { silentMs }),
    });
    clients.push(client);
    return client;
  };
  await mkdir(join(folder, 'uploads'));
  return {
    proxy,
    bucket,
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_ENDPOINT_URL: behind },
    client: clientFor(endpoint),
    store: (way, { silentMs, ...options } = {}) =>
      new S3Store({
        connection: steadyConnection(clientFor(way === 'proxy' ? behind : endpoint, silentMs)),
        bucket,
        title: 'the test bucket',
        uploads: notedUploads(join(folder, 'uploads')),
        partSize: PART,
        poolSize: 3 * PART,
        retry: { attempts: 6, backoff: 5, maxBackoff: 50, maxRetryAfter: 5_000 },
        ...options,
      }),
    close: async () => {
      for (const client of clients) client.destroy();
      await proxy.close();
      await simulator.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
