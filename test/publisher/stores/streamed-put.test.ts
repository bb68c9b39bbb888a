/** Bodies that are sent as they are read: to a real S3 server behind a proxy that spoils answers. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import { openDir } from '../../../src/publisher/sources/dir.ts';
import { openFileBlob } from '../../../src/publisher/sources/files.ts';
import { steadyConnection } from '../../../src/publisher/stores/connection.ts';
import { S3Store } from '../../../src/publisher/stores/s3-store.ts';
import { S3Client } from '../../../src/publisher/stores/s3/client.ts';
import { STREAMED_CHUNKS } from '../../../src/publisher/streams/buffer-sizes.ts';
import { listedUploads } from '../../../src/publisher/stores/unfinished-uploads.ts';
import type { BodyStream, PutOptions } from '../../../src/registry/store.ts';
import { writeDirImage } from '../dir-image.ts';
import type { Fault } from '../../faults/proxy.ts';
import { nameOf, tagOf } from '../gc-bucket.ts';
import { PART, type S3Bed, startS3Bed } from './s3-bed.ts';

const CHUNK = 128 * 1024;

let bed: S3Bed;
let keys = 0;
const freshKey = (): string => `streamed/${String((keys += 1))}`;

beforeAll(async () => {
  bed = await startS3Bed();
});

afterAll(() => bed.close());

beforeEach(() => {
  bed.proxy.fault = () => undefined;
});

const optionsFor = (bytes: Uint8Array): PutOptions & { readonly sha256: string } => ({
  contentType: 'application/octet-stream',
  sha256: createHash('sha256').update(bytes).digest('hex'),
});

/** A body that can be read again, in buffers that become something else as soon as they may. */
function bodyOf(bytes: Uint8Array, failAt = Infinity): BodyStream & { readonly why: readonly string[] } {
  const why: string[] = [];
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const given: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += CHUNK) {
      if (at >= failAt) throw new Error('the disk is broken');
      given.at(-1 - STREAMED_CHUNKS)?.fill(0xff);
      const chunk = Uint8Array.from(bytes.subarray(at, at + CHUNK));
      given.push(chunk);
      yield await Promise.resolve(chunk);
    }
  }
  return {
    size: bytes.length,
    chunks: chunks(),
    verified: true,
    validChunks: STREAMED_CHUNKS,
    reread: (reason) => {
      why.push(reason);
      return chunks();
    },
    why,
  };
}

async function bytesIn(key: string): Promise<Buffer | null> {
  const object = await bed.store('direct').get(key);
  return object === null || object === 'changed' ? null : Buffer.from(await new Response(object.body).arrayBuffer());
}

const putsOf = (key: string): number =>
  bed.proxy.seen.filter(({ method, path }) => method === 'PUT' && path.includes(key)).length;

describe('a body that can be read again', () => {
  const bytes = randomBytes(2 * PART + 4_321);

  test('goes in one request, whatever the size of a part, signed with its digest', async () => {
    const key = freshKey();
    const options = optionsFor(bytes);
    const written = await bed.store('proxy').put(key, bodyOf(bytes), options);
    expect(written).toEqual({ etag: createHash('md5').update(bytes).digest('hex') });
    expect((await bytesIn(key))?.equals(bytes)).toBe(true);
    const requests = bed.proxy.seen.filter(({ path }) => path.includes(key));
    expect(requests.map(({ method, headers }) => [method, headers['x-amz-content-sha256']])).toEqual([
      ['PUT', options.sha256],
    ]);
  });

  test('goes without a signed digest where storage would keep it whole to look at that, and is known by its etag', async () => {
    const key = freshKey();
    await bed.store('proxy', { checks: 'none' }).put(key, bodyOf(bytes), optionsFor(bytes));
    const requests = bed.proxy.seen.filter(({ path }) => path.includes(key));
    expect(requests.map(({ method, headers }) => [method, headers['x-amz-content-sha256']])).toEqual([
      ['PUT', 'UNSIGNED-PAYLOAD'],
    ]);
    expect((await bytesIn(key))?.equals(bytes)).toBe(true);
    bed.proxy.fault = ({ method }) =>
      method === 'PUT' ? { kind: 'answer', status: 200, headers: { etag: '"0"' } } : undefined;
    await expect(
      bed.store('proxy', { checks: 'none' }).put(key, bodyOf(bytes), optionsFor(bytes)),
    ).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
    });
  });

  test.each<[string, Fault]>([
    ['storage fails', { kind: 'answer', status: 500 }],
    ['storage is busy', { kind: 'answer', status: 503, headers: { 'retry-after': '0' } }],
    [
      'storage finds other bytes than were signed',
      { kind: 'answer', status: 400, body: '<Error><Code>XAmzContentSHA256Mismatch</Code></Error>' },
    ],
  ])('is read again where %s, and arrives whole', async (_, fault) => {
    const key = freshKey();
    let spoilt = 0;
    bed.proxy.fault = ({ method }) => (method === 'PUT' && (spoilt += 1) <= 2 ? fault : undefined);
    const body = bodyOf(bytes);
    await bed.store('proxy').put(key, body, optionsFor(bytes));
    expect(body.why).toHaveLength(2);
    expect((await bytesIn(key))?.equals(bytes)).toBe(true);
  });

  test('goes in parts once a connection broke in its midst, so that not all of it has to come again', async () => {
    const key = freshKey();
    let dropped = 0;
    bed.proxy.fault = ({ method }) =>
      method === 'PUT' && (dropped += 1) === 1 ? { kind: 'drop', when: 'before' } : undefined;
    const body = bodyOf(bytes);
    await bed.store('proxy').put(key, body, optionsFor(bytes));
    expect(body.why).toHaveLength(1);
    expect(
      bed.proxy.seen.filter(
        ({ method, path }) => method === 'PUT' && path.includes(key) && path.includes('partNumber='),
      ),
    ).toHaveLength(3);
    expect((await bytesIn(key))?.equals(bytes)).toBe(true);
  });

  test('stays whole where storage serves parts slowly, even after a broken connection', async () => {
    const key = freshKey();
    let dropped = 0;
    bed.proxy.fault = ({ method }) =>
      method === 'PUT' && (dropped += 1) <= 2 ? { kind: 'drop', when: 'before' } : undefined;
    const body = { ...bodyOf(bytes), expensiveToReread: true };
    const written = await bed.store('proxy', { staysWhole: true }).put(key, body, optionsFor(bytes));
    expect(written).toEqual({ etag: createHash('md5').update(bytes).digest('hex') });
    expect([body.why.length, putsOf(key)]).toEqual([2, 3]);
    expect((await bytesIn(key))?.equals(bytes)).toBe(true);
  });

  test.each([
    ['in parts', 2 * PART + 4_321, 3],
    ['whole', PART, 1],
  ])(
    'that is dear is read again once at most, and then kept, %s, however often storage fails',
    async (_, size, puts) => {
      const dear = bytes.subarray(0, size);
      const key = freshKey();
      let spoilt = 0;
      bed.proxy.fault = ({ method }) =>
        method === 'PUT' && (spoilt += 1) <= 3 ? { kind: 'answer', status: 500 } : undefined;
      const body = { ...bodyOf(dear), expensiveToReread: true };
      await bed.store('proxy').put(key, body, optionsFor(dear));
      expect(body.why).toHaveLength(1);
      expect(putsOf(key)).toBe(3 + puts);
      expect((await bytesIn(key))?.equals(dear)).toBe(true);
    },
  );

  test('whose refusals come early leaves no connection that nobody can use', async () => {
    let connections = 0;
    let refusing = true;
    const early = createServer((question, answer) => {
      question.resume();
      if (refusing) answer.writeHead(503).end();
      else answer.writeHead(404).end();
    });
    early.on('connection', () => (connections += 1));
    early.listen(0, '127.0.0.1');
    await once(early, 'listening');
    const client = new S3Client({
      endpoint: `http://127.0.0.1:${String((early.address() as AddressInfo).port)}`,
      region: 'auto',
      keys: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    try {
      const small = bytes.subarray(0, 1_750_000);
      const retry = { attempts: 6, backoff: 1, maxBackoff: 2, maxRetryAfter: 5 };
      const store = new S3Store({
        connection: steadyConnection(client),
        bucket: 'b',
        title: 'the bucket',
        uploads: listedUploads('b'),
        retry,
      });
      for (let at = 0; at < 10; at += 1) {
        await expect(store.put(freshKey(), bodyOf(small), optionsFor(small))).rejects.toMatchObject({
          message: expect.stringContaining('503') as string,
        });
      }
      refusing = false;
      expect(await store.head('x')).toBeNull();
      const open = await new Promise<number>((resolve, reject) => {
        early.getConnections((error, count) => {
          if (error === null) resolve(count);
          else reject(error);
        });
      });
      expect(open).toBeLessThan(10);
      expect(connections).toBeGreaterThan(0);
    } finally {
      client.destroy();
      early.closeAllConnections();
      early.close();
    }
  });

  test('that breaks off leaves nothing, is not tried again, and says why', async () => {
    const key = freshKey();
    const cause = expect.objectContaining({ message: 'the disk is broken' }) as unknown;
    await expect(bed.store('proxy').put(key, bodyOf(bytes, PART), optionsFor(bytes))).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      cause,
    });
    expect(putsOf(key)).toBe(1);
    expect(await bytesIn(key)).toBeNull();
  });

  test('of other content than its sha256 is refused by storage', async () => {
    const key = freshKey();
    const store = bed.store('direct', { retry: { attempts: 1, backoff: 1, maxBackoff: 1, maxRetryAfter: 1 } });
    await expect(store.put(key, bodyOf(bytes), optionsFor(randomBytes(10)))).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
    });
    expect(await bytesIn(key)).toBeNull();
  });

  test('is let go of when the signal says so', async () => {
    const key = freshKey();
    bed.proxy.fault = ({ method }) => (method === 'PUT' ? { kind: 'slow', milliseconds: 60_000 } : undefined);
    const stop = new AbortController();
    const putting = bed.store('proxy').put(key, bodyOf(bytes), { ...optionsFor(bytes), signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(putting).rejects.toThrow('enough');
    expect(await bytesIn(key)).toBeNull();
  });

  test('goes in parts where it is longer than what is sent at once', async () => {
    const key = freshKey();
    await bed.store('proxy', { streamedMax: PART }).put(key, bodyOf(bytes), optionsFor(bytes));
    expect(putsOf(key)).toBe(3);
    expect((await bytesIn(key))?.equals(bytes)).toBe(true);
  });

  test.each<[string, Partial<BodyStream>]>([
    ['nobody has checked it', { verified: false }],
    ['its buffers are filled again too soon', { validChunks: STREAMED_CHUNKS - 1 }],
  ])('is kept until it is sent where %s', async (_, other) => {
    const key = freshKey();
    const body = { ...bodyOf(bytes.subarray(0, PART)), chunks: streamOnce(bytes.subarray(0, PART)), ...other };
    bed.proxy.fault = ({ method }) =>
      method === 'PUT' && putsOf(key) === 1 ? { kind: 'answer', status: 500 } : undefined;
    await bed.store('proxy').put(key, body, optionsFor(bytes.subarray(0, PART)));
    expect(body.why).toEqual([]);
    expect((await bytesIn(key))?.length).toBe(PART);
  });
});

async function* streamOnce(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes);
}

test('a file is sent out of the buffers that it is read into', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-streamed-'));
  try {
    const bytes = randomBytes(9_000_001);
    const path = join(folder, 'layer');
    await writeFile(path, bytes);
    const blob = await openFileBlob(path);
    if (blob?.pooled === undefined) throw new Error('no blob');
    const { chunks, validChunks } = blob.pooled;
    const key = freshKey();
    const body = { size: bytes.length, chunks, validChunks, verified: true, reread: () => chunks };
    await bed.store('proxy').put(key, body, optionsFor(bytes));
    expect((await bytesIn(key))?.equals(bytes)).toBe(true);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a layer of a folder is streamed, and read again where storage fails', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-streamed-'));
  try {
    const image = await writeDirImage(folder, { layers: [randomBytes(9_000_001)] });
    const layer = image.layers[0] ?? '';
    let failures = 1;
    bed.proxy.fault = ({ method, path }) =>
      method === 'PUT' && path.includes(layer.slice('sha256:'.length)) && failures-- > 0
        ? { kind: 'answer', status: 500 }
        : undefined;
    const retried: string[] = [];
    const publisher = await createPublisher({
      store: bed.store('proxy'),
      realms: [],
      signer: createSigner(newKey()),
      jobs: 1,
      onEvent: (event) => {
        if (event.event === 'blob-retried') retried.push(event.digest);
      },
    });
    await publisher.publish(await openDir(image.folder), { name: nameOf('streamed/image'), tag: tagOf('v1') });
    // A buffered body would be sent again without reading its source.
    expect(retried).toHaveLength(1);
  } finally {
    await rm(folder, { recursive: true });
  }
});
