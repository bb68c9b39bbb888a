/**
 * S3 servers that we did not write, each behind a fault proxy: R2's simulator, and Ceph's gateway where it is
 * installed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3_RETRY } from '../../src/publisher/stores/retrying.ts';
import { steadyConnection } from '../../src/publisher/stores/connection.ts';
import { S3Store } from '../../src/publisher/stores/s3-store.ts';
import { S3Client } from '../../src/publisher/stores/s3/client.ts';
import { startSimulator } from '../../src/publisher/local/simulator.ts';
import { listedUploads } from '../../src/publisher/stores/unfinished-uploads.ts';
import { missingPrograms } from '../interop/programs.ts';
import { BucketReader } from './bucket-reader.ts';
import { type FaultProxy, startFaultProxy } from './proxy.ts';
import { RADOSGW_PROGRAMS, startRadosgw } from './radosgw.ts';

/** The servers. */
export const STORAGES = ['R2 simulator', 'Ceph RGW'] as const;
export type Storage = (typeof STORAGES)[number];

/** What keeps a server from being used: programs that are not installed. */
export function missingFor(storage: Storage): readonly string[] {
  return storage === 'Ceph RGW' ? missingPrograms(...RADOSGW_PROGRAMS) : [];
}

/** A running server, and ways to it. */
export interface StorageBed {
  readonly title: Storage;
  readonly bucket: string;
  readonly proxy: FaultProxy;
  /** Variables that `--to s3://BUCKET` reads; through the proxy (or another of `openProxy`), or not. */
  env(way: 'proxy' | 'direct' | FaultProxy): NodeJS.ProcessEnv;
  /** One more proxy, with faults of its own. Whoever opens it closes it. */
  openProxy(): Promise<FaultProxy>;
  /** The publisher's own store over it. */
  store(way: 'proxy' | 'direct' | FaultProxy, prefix?: string): S3Store;
  /** Reads the server itself, with code that shares nothing with the publisher's. `prefix` ends in `/`, or is empty. */
  reader(prefix?: string): BucketReader;
  close(): Promise<void>;
}

/** Starts a server and a proxy before it. */
export async function openStorage(storage: Storage): Promise<StorageBed> {
  const server = storage === 'Ceph RGW' ? await startRadosgw() : await startR2();
  const { accessKeyId, secretAccessKey, bucket } = server;
  const endpoint = server.endpoint.replace(/\/$/, '');
  const region = storage === 'Ceph RGW' ? 'us-east-1' : 'auto';
  const { origin, pathname } = new URL(endpoint);
  const proxy = await startFaultProxy(origin, { keepSeen: false });
  const endpointOf = (way: 'proxy' | 'direct' | FaultProxy): string =>
    way === 'direct' ? endpoint : `${(way === 'proxy' ? proxy : way).url}${pathname === '/' ? '' : pathname}`;
  const stores: { destroy(): void }[] = [];
  return {
    title: storage,
    bucket,
    proxy,
    env: (way) => ({
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL: endpointOf(way),
      AWS_REGION: region,
    }),
    store: (way, prefix = '') => {
      const client = new S3Client({ endpoint: endpointOf(way), keys: { accessKeyId, secretAccessKey }, region });
      stores.push(client);
      return new S3Store({
        connection: steadyConnection(client),
        bucket,
        prefix,
        title: storage,
        uploads: listedUploads(bucket),
        ifMatch: storage === 'Ceph RGW' ? 'bare' : 'quoted',
        retry: { ...S3_RETRY, backoff: 5, maxBackoff: 50 },
      });
    },
    openProxy: () => startFaultProxy(origin, { keepSeen: false }),
    reader: (prefix = '') => new BucketReader({ endpoint, bucket, prefix, accessKeyId, secretAccessKey, region }),
    close: async () => {
      for (const client of stores) client.destroy();
      await proxy.close();
      await server.close();
    },
  };
}

async function startR2(): Promise<
  Pick<Awaited<ReturnType<typeof startRadosgw>>, 'endpoint' | 'accessKeyId' | 'secretAccessKey' | 'bucket' | 'close'>
> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-faults-r2-'));
  const bucket = 'images';
  const simulator = await startSimulator({ persist: folder, bucket });
  const close = async (): Promise<void> => {
    await simulator.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const { endpoint, accessKeyId, secretAccessKey } = simulator;
  return { endpoint, accessKeyId, secretAccessKey, bucket, close };
}
