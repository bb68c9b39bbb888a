/**
 * Storage that is not R2: it protects two publishers from each other, or it is refused with the truth before anything
 * is written.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { end, type Finished, gantry, titleWith } from '../interop/programs.ts';
import { describeWriteStore } from '../conformance/stores.ts';
import { digestOf } from './bucket-reader.ts';
import { type FaultProxy, startFaultProxy } from './proxy.ts';
import { missingFor, openStorage, type StorageBed } from './storage.ts';
import { imageOf } from './upstream.ts';

const missing = missingFor('Ceph RGW');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-other-'));
  for (const seed of ['a', 'b', 'c']) {
    const { config, layer, manifest } = imageOf(seed);
    await mkdir(join(folder, seed));
    for (const blob of [config, layer])
      await writeFile(join(folder, seed, digestOf(blob).slice('sha256:'.length)), blob);
    await writeFile(join(folder, seed, 'manifest.json'), manifest);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const publish = (seed: string, to: string, env: NodeJS.ProcessEnv): Promise<Finished> =>
  gantry(['publish', `dir:${join(folder, seed)}`, `test/app:${seed}`, '--to', to], {
    env: { ...process.env, ...env, GANTRY_KEY: join(folder, 'key.pem') },
    signal: AbortSignal.timeout(100_000),
  });

describe.skipIf(missing.length > 0)(titleWith('Ceph RGW', missing), () => {
  let bed: StorageBed;
  beforeAll(async () => {
    bed = await openStorage('Ceph RGW');
  }, 60_000);
  afterAll(() => bed.close());

  it('takes one publish after the other', { timeout: 120_000 }, async () => {
    for (const seed of ['a', 'b', 'c']) {
      const { code, stderr } = await publish(seed, `s3://${bed.bucket}`, bed.env('direct'));
      expect(code, stderr).toBe(0);
    }
    expect(await bed.reader().everything()).toEqual({ tags: 3, findings: [] });
  });
});

if (missing.length === 0) {
  describeWriteStore('Ceph RGW, as a store', async () => {
    const bed = await openStorage('Ceph RGW');
    return { store: bed.store('direct', 'suite/'), longBody: 17 * 2 ** 20, close: () => bed.close() };
  });
}

describe('storage that ignores conditions, as s3rver does', () => {
  let server: ChildProcess;
  let proxy: FaultProxy;
  beforeAll(async () => {
    const data = join(folder, 'data');
    await mkdir(data);
    server = spawn(process.execPath, [new URL('../bench/folder-s3.ts', import.meta.url).pathname, data], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [port] = (await once(server.stdout ?? server, 'data')) as [Buffer];
    proxy = await startFaultProxy(`http://127.0.0.1:${port.toString().trim()}`);
    proxy.fault = () => ({ kind: 'strip', headers: ['if-match', 'if-none-match'] });
  });
  afterAll(async () => {
    await proxy.close();
    await end(server);
  });

  it('is refused with the truth, and nothing is written', async () => {
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_ENDPOINT_URL: proxy.url };
    const { code, stderr } = await publish('a', 's3://images', env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/condition|If-None-Match|If-Match/);
    expect(proxy.seen.filter(({ method, path }) => method === 'PUT' && /blobs|repositories/.test(path))).toEqual([]);
  });
});

describe('storage that carries out a deletion whose deadline has passed', () => {
  let bed: StorageBed;
  beforeAll(async () => {
    bed = await openStorage('R2 simulator');
  });
  afterAll(() => bed.close());

  it('takes what is published; gc refuses to delete there, says why, and deletes nothing', async () => {
    const to = `s3://${bed.bucket}`;
    const { code, stderr } = await publish('a', to, bed.env('direct'));
    expect(code, stderr).toBe(0);
    const blob = `blobs/public/sha256/${'0'.repeat(64)}`;
    await bed.store('direct').put(blob, new Uint8Array(1), { contentType: 'text/plain' });
    // Such storage answers as if the request were in time.
    bed.proxy.fault = ({ method }) => (method === 'DELETE' ? { kind: 'answer', status: 204 } : undefined);
    const gc = await gantry(['gc', '--delete', '--grace', '0', '--to', to], {
      env: { ...process.env, ...bed.env('proxy') },
    });
    expect(gc.code, gc.stdout).toBe(1);
    expect(gc.stderr).toMatch(/cannot be collected safely.*request has expired/s);
    expect(await bed.store('direct').head(blob)).not.toBeNull();
    expect(await bed.reader().get('gc.json')).toBeNull();
  });
});
