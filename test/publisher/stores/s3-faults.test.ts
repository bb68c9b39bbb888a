/** S3 in trouble: a real server (Miniflare's, R2's simulator) behind a proxy that spoils answers. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import type { ImageSource } from '../../../src/bucket/image-source.ts';
import { listUploads } from '../../../src/publisher/stores/s3/requests.ts';
import { openS3 } from '../../../src/publisher/stores/s3-target.ts';
import { verify } from '../../../src/publisher/verify/verify.ts';
import { blobKey } from '../../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import type { PutOptions } from '../../../src/registry/store.ts';
import type { Fault, Seen } from '../../faults/proxy.ts';
import { digestOf, nameOf, tagOf } from '../gc-bucket.ts';
import { makeImage, type TestImage } from '../pulp-tree.ts';
import { PART, type S3Bed, startS3Bed } from './s3-bed.ts';
import { streamOf } from '../../conformance/stores.ts';

const PLAIN: PutOptions = { contentType: 'application/octet-stream' };
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let bed: S3Bed;
let keys = 0;
const freshKey = (): string => `faults/${String((keys += 1))}`;

beforeAll(async () => {
  bed = await startS3Bed();
});

afterAll(() => bed.close());

beforeEach(() => {
  bed.proxy.fault = () => undefined;
});

/** Spoils the first `times` requests that fit. */
function spoil(fits: (seen: Seen) => boolean, times: number, fault: Fault): { readonly spoilt: () => number } {
  let spoilt = 0;
  bed.proxy.fault = (seen) => {
    if (spoilt >= times || !fits(seen)) return undefined;
    spoilt += 1;
    return fault;
  };
  return { spoilt: () => spoilt };
}

async function bytesIn(key: string): Promise<Buffer | null> {
  const object = await bed.store('direct').get(key);
  return object === null || object === 'changed' ? null : Buffer.from(await new Response(object.body).arrayBuffer());
}

const isPut = ({ method }: Seen): boolean => method === 'PUT';
const isPart = ({ method, path }: Seen): boolean => method === 'PUT' && path.includes('partNumber=');
const isCompletion = ({ method, path }: Seen): boolean => method === 'POST' && path.includes('uploadId=');

describe('a write', () => {
  test.each<[string, Fault]>([
    ['500', { kind: 'answer', status: 500 }],
    [
      '503 in XML',
      {
        kind: 'answer',
        status: 503,
        headers: { 'content-type': 'application/xml' },
        body: '<Error><Code>SlowDown</Code><Message>later</Message></Error>',
      },
    ],
    ['429', { kind: 'answer', status: 429 }],
    ['a connection that breaks', { kind: 'drop', when: 'before' }],
    ['an answer that is lost', { kind: 'drop', when: 'after' }],
  ])('is tried again after %s', async (_, fault) => {
    const key = freshKey();
    const { spoilt } = spoil(isPut, 2, fault);
    await bed.store('proxy').put(key, Buffer.from('content'), PLAIN);
    expect(spoilt()).toBe(2);
    expect((await bytesIn(key))?.toString()).toBe('content');
  });

  test('waits as long as Retry-After says', async () => {
    spoil(isPut, 1, { kind: 'answer', status: 503, headers: { 'retry-after': '1' } });
    const began = performance.now();
    await bed.store('proxy').put(freshKey(), Buffer.from('content'), PLAIN);
    expect(performance.now() - began).toBeGreaterThanOrEqual(990);
  });

  test('is given up at once if Retry-After asks for more patience than there is', async () => {
    const { spoilt } = spoil(isPut, 10, { kind: 'answer', status: 503, headers: { 'retry-after': '3600' } });
    await expect(bed.store('proxy').put(freshKey(), Buffer.from('content'), PLAIN)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
    });
    expect(spoilt()).toBe(1);
  });

  test('is given up after some tries, and says what it was', async () => {
    const key = freshKey();
    const { spoilt } = spoil(isPut, 100, { kind: 'answer', status: 500 });
    await expect(bed.store('proxy').put(key, Buffer.from('content'), PLAIN)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      message: expect.stringMatching(new RegExp(`writing ${key}: the test bucket answered 500`)) as string,
    });
    expect(spoilt()).toBe(6);
  });

  test('gives up a silent server, and tries again', async () => {
    const key = freshKey();
    const { spoilt } = spoil(isPut, 1, { kind: 'slow', milliseconds: 4_000 });
    await bed.store('proxy', { silentMs: 1_000 }).put(key, Buffer.from('content'), PLAIN);
    expect(spoilt()).toBe(1);
    expect((await bytesIn(key))?.toString()).toBe('content');
  });

  test('that holds, and whose answer is lost, counts as ours', async () => {
    const store = bed.store('proxy');
    const key = freshKey();
    spoil(isPut, 1, { kind: 'drop', when: 'after' });
    const first = await store.put(key, Buffer.from('mine'), { ...PLAIN, onlyIf: 'absent' });
    if (first === 'precondition-failed') throw new Error('taken for somebody else’s');
    spoil(isPut, 1, { kind: 'drop', when: 'after' });
    const second = await store.put(key, Buffer.from('mine, moved'), { ...PLAIN, onlyIf: first });
    expect(second).not.toBe('precondition-failed');
    // Somebody else's stays.
    spoil(isPut, 1, { kind: 'drop', when: 'before' });
    expect(await store.put(key, Buffer.from('another'), { ...PLAIN, onlyIf: first })).toBe('precondition-failed');
    expect((await bytesIn(key))?.toString()).toBe('mine, moved');
  });
});

describe('a long body', () => {
  const bytes = randomBytes(3 * PART + 77);
  const options: PutOptions = { ...PLAIN, sha256: sha256(bytes) };

  test.each<[string, (seen: Seen) => boolean, number, Fault]>([
    ['each part fails once', isPart, 4, { kind: 'answer', status: 500 }],
    ['connections break in the midst of parts', isPart, 3, { kind: 'drop', when: 'before' }],
    ['answers to parts are lost', isPart, 3, { kind: 'drop', when: 'after' }],
    ['parts are slow', isPart, 4, { kind: 'slow', milliseconds: 200 }],
    ['the answer to the last step is lost', isCompletion, 1, { kind: 'drop', when: 'after' }],
    ['the last step fails', isCompletion, 2, { kind: 'answer', status: 503 }],
  ])('arrives whole although %s', async (_, fits, times, fault) => {
    const key = freshKey();
    const { spoilt } = spoil(fits, times, fault);
    await bed.store('proxy').put(key, streamOf(bytes), options);
    expect(spoilt()).toBe(times);
    expect(sha256((await bytesIn(key)) ?? Buffer.from(''))).toBe(options.sha256);
  });

  test('that was damaged at the source is not to be seen, and nothing of it stays behind', async () => {
    const key = freshKey();
    await expect(
      bed.store('proxy').put(key, streamOf(bytes), { ...PLAIN, sha256: sha256(Buffer.from('other')) }),
    ).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    expect(await bytesIn(key)).toBeNull();
    const uploads = await listUploads(bed.client, { bucket: bed.bucket, key }).catch(() => []);
    expect(uploads.filter((upload) => upload.key === key)).toEqual([]);
  });
});

describe('a read', () => {
  const bytes = randomBytes(1_000_000);

  test('goes on where the connection broke', async () => {
    const key = freshKey();
    await bed.store('direct').put(key, bytes, PLAIN);
    const { spoilt } = spoil(({ method }) => method === 'GET', 3, { kind: 'cut', after: 200_000 });
    const object = await bed.store('proxy').get(key);
    if (object === null || object === 'changed') throw new Error('not there');
    expect(Buffer.from(await new Response(object.body).arrayBuffer()).equals(bytes)).toBe(true);
    expect(spoilt()).toBe(3);
  });

  test('that breaks while the object is replaced does not mix two versions', async () => {
    const key = freshKey();
    // Longer than what is read at once and compared with its ETag.
    await bed.store('direct').put(key, randomBytes(5_000_000), PLAIN);
    spoil(({ method }) => method === 'GET', 1, { kind: 'cut', after: 200_000 });
    const object = await bed.store('proxy').get(key);
    if (object === null || object === 'changed') throw new Error('not there');
    await bed.store('direct').put(key, randomBytes(5_000_000), PLAIN);
    await expect(new Response(object.body).arrayBuffer()).rejects.toMatchObject({
      message: expect.stringMatching(/was replaced while it was read/) as string,
    });
  });

  test('that cannot find out is no miss', async () => {
    spoil(() => true, 100, { kind: 'answer', status: 500 });
    await expect(bed.store('proxy').head(freshKey())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await expect(bed.store('proxy').get(freshKey())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});

describe('--to s3://', () => {
  test.each<[string, string, NodeJS.ProcessEnv, RegExp, RegExp]>([
    [
      'a wrong secret',
      's3://images',
      { AWS_SECRET_ACCESS_KEY: 'wrong' },
      /refuses the credentials/,
      /AWS_SECRET_ACCESS_KEY/,
    ],
    ['a wrong key', 's3://images', { AWS_ACCESS_KEY_ID: 'wrong' }, /refuses the credentials/, /AWS_ACCESS_KEY_ID/],
    ['no key', 's3://images', { AWS_ACCESS_KEY_ID: '' }, /AWS_ACCESS_KEY_ID is not set/, /R2 API token/],
    [
      'a bucket that is not there',
      's3://no-such-bucket',
      {},
      /bucket does not exist|refuses the credentials/,
      /the bucket name/,
    ],
    [
      'a host that does not answer',
      's3://images',
      { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' },
      /did not answer/,
      /AWS_ENDPOINT_URL/,
    ],
    [
      'an address that is none',
      's3://images',
      { AWS_ENDPOINT_URL: 'images.example' },
      /is not a valid URL/,
      /r2\.cloudflarestorage\.com/,
    ],
    ['a name that is none', 's3://', {}, /s3:\/\//, /s3:\/\/BUCKET/],
  ])('says what is wrong with %s, and what to do', async (_, to, env, message, hint) => {
    const opening = openS3(to, { ...bed.env, ...env });
    await expect(opening).rejects.toMatchObject({
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(hint) as string,
    });
  });

  test('says that a token has expired', async () => {
    const body = '<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>';
    spoil(() => true, 100, { kind: 'answer', status: 400, headers: { 'content-type': 'application/xml' }, body });
    await expect(openS3('s3://images', bed.env)).rejects.toThrow(/refuses the credentials.*expired/);
  });

  test('opens a bucket that answers', async () => {
    const target = await openS3(
      's3://images/below',
      bed.env,
      {},
      {
        uploads: {
          keepsNotes: false,
          find: () => Promise.resolve(null),
          note: () => Promise.resolve({ sent: () => Promise.resolve(), ended: () => Promise.resolve() }),
        },
      },
    );
    try {
      await target.store.put('x', Buffer.from('y'), PLAIN);
      expect((await bytesIn('below/x'))?.toString()).toBe('y');
    } finally {
      await target.close();
    }
  });
});

describe('a publish', () => {
  test.each([
    ['sent whole', 'small', 6],
    ['streamed, then sent whole from a buffer', randomBytes(400_000).toString('hex'), 7],
  ])('tries a blob as often as the retry policy of the store says, and no more: %s', async (_, text, most) => {
    const attempts = new Map<string, number>();
    bed.proxy.fault = ({ method, path }) => {
      const blob = /blobs%2F.*?([0-9a-f]{64})|blobs\/.*?([0-9a-f]{64})/.exec(path);
      if (method !== 'PUT' || blob === null) return undefined;
      const digest = blob[1] ?? blob[2] ?? '';
      attempts.set(digest, (attempts.get(digest) ?? 0) + 1);
      return { kind: 'answer', status: 500 };
    };
    const image = makeImage(text);
    const layer = digestOf(image.layer).slice('sha256:'.length);
    const config = blobKey(PUBLIC_REALM, digestOf(image.config));
    const store = bed.store('proxy', { prefix: `attempts-${String(most)}/` });
    await bed.store('direct', { prefix: `attempts-${String(most)}/` }).put(config, image.config, PLAIN);
    const publisher = await createPublisher({ store, realms: [], signer: createSigner(newKey()), jobs: 1 });
    await expect(publisher.publish(sourceOf(image), { name: nameOf('a/b'), tag: tagOf('t') })).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
    });
    expect([...attempts]).toEqual([[layer, most]]);
  });

  test('comes through a storage where every fifth request fails somehow, and what it wrote is sound', async () => {
    const faults: readonly Fault[] = [
      { kind: 'answer', status: 500 },
      { kind: 'drop', when: 'before' },
      { kind: 'drop', when: 'after' },
      { kind: 'answer', status: 429, headers: { 'retry-after': '0' } },
      { kind: 'slow', milliseconds: 30 },
    ];
    let count = 0;
    let spoilt = 0;
    bed.proxy.fault = () => {
      count += 1;
      if (count % 5 !== 0) return undefined;
      spoilt += 1;
      return faults[spoilt % faults.length];
    };
    const store = bed.store('proxy', { prefix: 'published/' });
    const publisher = await createPublisher({ store, realms: [], signer: createSigner(newKey()) });
    await Promise.all(
      Array.from({ length: 12 }, async (_, index) =>
        publisher.publish(sourceOf(makeImage(`image ${String(index)}`)), {
          name: nameOf(`a/${String(index % 3)}`),
          tag: tagOf(`t${String(index)}`),
        }),
      ),
    );
    expect(spoilt).toBeGreaterThan(20);
    const report = await verify(bed.store('direct', { prefix: 'published/' }), {
      table: [],
      sample: 1,
      jobs: 4,
      repair: false,
    });
    expect(report.faults).toEqual([]);
    let tags = 0;
    for await (const { key } of bed.store('direct', { prefix: 'published/' }).list('repositories/'))
      if (key.includes('/_tags/')) tags += 1;
    expect(tags).toBe(12);
  });
});

function sourceOf({ schema2, config, layer }: TestImage): ImageSource {
  const blobs = new Map([config, layer].map((bytes) => [digestOf(bytes), bytes]));
  return {
    roots: [{ bytes: schema2 }],
    manifest: () => Promise.resolve(null),
    blob: (digest) => {
      const bytes = blobs.get(digest);
      return Promise.resolve(bytes === undefined ? null : streamOf(bytes));
    },
    referrers: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}
