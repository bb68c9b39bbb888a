/** `gantry verify` reads what it vouches for, goes on past every error, and lists it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Finished, gantry } from '../interop/programs.ts';
import { digestOf } from './bucket-reader.ts';
import { byRules, s3Error } from './random.ts';
import { openStorage, type StorageBed } from './storage.ts';
import { imageOf } from './upstream.ts';

describe('gantry verify over storage that does not give everything', () => {
  let bed: StorageBed;
  let folder: string;
  const { config, layer, manifest } = imageOf('unreadable');
  const other = imageOf('other');
  const hexOf = (bytes: Uint8Array): string => digestOf(bytes).slice('sha256:'.length);

  beforeAll(async () => {
    bed = await openStorage('R2 simulator');
    folder = await mkdtemp(join(tmpdir(), 'gantry-unreadable-'));
    for (const [name, image] of Object.entries({ app: { config, layer, manifest }, other })) {
      await mkdir(join(folder, name));
      for (const blob of [image.config, image.layer]) await writeFile(join(folder, name, hexOf(blob)), blob);
      await writeFile(join(folder, name, 'manifest.json'), image.manifest);
      await publish(name);
    }
  }, 60_000);
  afterAll(async () => {
    await bed.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    bed.proxy.fault = () => undefined;
  });

  const command = (...args: string[]): Promise<Finished> =>
    gantry([...args, '--to', `s3://${bed.bucket}`], {
      env: { ...process.env, ...bed.env('proxy'), GANTRY_KEY: join(folder, 'key.pem') },
    });
  const publish = (name: string, ...options: string[]): Promise<Finished> =>
    command('publish', `dir:${join(folder, name)}`, `test/${name}:latest`, ...options);
  const blobPath = (bytes: Uint8Array): RegExp => new RegExp(`/${hexOf(bytes)}(\\?|$)`);

  it.each([
    ['404', s3Error(404, 'NoSuchKey')],
    ['500', s3Error(500, 'InternalError')],
    ['403', s3Error(403, 'AccessDenied')],
    ['nothing of its body', { kind: 'cut', after: 0 } as const],
  ])(
    'a needed blob whose HEAD answers and whose GET gives %s is a fault, and all else is looked at',
    async (_, fault) => {
      bed.proxy.fault = byRules([{ method: 'GET', path: blobPath(layer), fault }]);
      const { code, stdout } = await command('verify', '--json');
      expect(code).toBe(1);
      const { faults, hashed } = JSON.parse(stdout) as { faults: { message: string }[]; hashed: { blobs: number } };
      expect(faults.map(({ message }) => message).join()).toContain(digestOf(layer));
      expect(hashed.blobs).toBeGreaterThanOrEqual(3);
    },
    120_000,
  );

  it('a manifest that cannot be read is a fault, and all else is looked at', async () => {
    bed.proxy.fault = byRules([
      {
        method: 'GET',
        path: new RegExp(`_manifests/sha256(:|%3A)${hexOf(manifest)}`),
        fault: s3Error(403, 'AccessDenied'),
      },
    ]);
    const { code, stdout } = await command('verify', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ repositories: 2, tags: 2, hashed: { blobs: 4 } });
  });

  it('a repository that does not exist is no repository in which nothing is wrong', async () => {
    const { code, stderr } = await command('verify', 'no/such-repository');
    expect(code).not.toBe(0);
    expect(stderr).toContain('no/such-repository');
  });

  it('the journal of garbage collection is looked at', async () => {
    await bed.store('direct').put('gc.json', Buffer.from('{"half'), { contentType: 'application/json' });
    const { code, stdout } = await command('verify');
    await bed.store('direct').delete(['gc.json']);
    expect(code).toBe(1);
    expect(stdout).toContain('gc.json');
  });

  it('publish --check reads what is there and mends it', async () => {
    const key = `blobs/public/sha256/${hexOf(layer)}`;
    await bed.store('direct').put(key, Buffer.alloc(layer.length), { contentType: 'application/octet-stream' });
    const { code, stderr } = await publish('app', '--check');
    expect(code, stderr).toBe(0);
    expect((await bed.reader().get(key))?.bytes.equals(layer)).toBe(true);
  });
});
