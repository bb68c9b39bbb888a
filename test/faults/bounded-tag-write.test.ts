/**
 * A publisher whose tag storage does not take gives up in time: garbage collection keeps the tag's objects only for so
 * long.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../src/publisher/publish/publish.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import { type DirImage, writeDirImage } from '../publisher/dir-image.ts';
import { nameOf, tagOf } from '../publisher/gc-bucket.ts';
import type { Fault } from './proxy.ts';
import { byRules, s3Error } from './random.ts';
import { openStorage, type StorageBed } from './storage.ts';

let folder: string;
let image: DirImage;
let bed: StorageBed;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-bounded-'));
  image = await writeDirImage(join(folder, 'image'));
  bed = await openStorage('R2 simulator');
});
afterAll(async () => {
  await bed.close();
  await rm(folder, { recursive: true, force: true });
});

it.each<[string, Fault]>([
  ['is refused again and again', s3Error(503, 'SlowDown')],
  ['asks to be left alone for long', s3Error(429, 'TooManyRequests', { 'retry-after': '100' })],
  ['hangs', { kind: 'hang' }],
])('where the write of a tag object %s', async (_, fault) => {
  bed.proxy.fault = byRules([{ method: 'PUT', path: /_tags\//, fault }]);
  const options = { store: bed.store('proxy'), realms: [], signer: createSigner(newKey()), tagWriteLimit: 100 };
  const publisher = await createPublisher(options);
  const source = await openDir(image.source.replace(/^dir:/, ''));
  await expect(publisher.publish(source, { name: nameOf('bounded/app'), tag: tagOf('one') })).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    message: 'the tag bounded/app:one could not be written within 0.1 s',
  });
  const { requests } = bed.proxy.counts;
  bed.proxy.fault = () => undefined;
  await bed.proxy.settled();
  // Nothing is sent afterwards.
  expect(bed.proxy.counts.requests).toBe(requests);
  expect((await bed.reader().everything()).tags).toBe(0);
});
