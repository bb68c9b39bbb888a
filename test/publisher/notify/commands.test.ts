/** Which commands notify whom of what, and that no secret is in their output. */
import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPublisher } from '../../../src/publisher/publish/publish.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { createNotifier } from '../../../src/publisher/notify/notifier.ts';
import { parseSecrets } from '../../../src/publisher/notify/webhook.ts';
import { openPushEndpoint } from '../../../src/publisher/receive/open.ts';
import { openDir } from '../../../src/publisher/sources/dir.ts';
import { StorageError } from '../../../src/registry/store.ts';
import { runGantry } from '../commands/command-line.ts';
import { type DirImage, writeDirImage } from '../dir-image.ts';
import { Bucket, nameOf, tagOf } from '../gc-bucket.ts';
import { type Receiver, startReceiver } from './receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

let folder: string;
let image: DirImage;
let other: DirImage;
let bucket: Bucket;
let receiver: Receiver;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-notify-'));
  image = await writeDirImage(join(folder, 'image'));
  other = await writeDirImage(join(folder, 'other'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  bucket = new Bucket();
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const run = (args: readonly string[], variables: NodeJS.ProcessEnv = {}): ReturnType<typeof runGantry> =>
  runGantry(bucket, args, { GANTRY_KEY: join(folder, 'key.pem'), GANTRY_NOTIFY_SECRET: SECRET, ...variables });

/** The changes of all messages that came, whose signatures are checked; forgets them. */
function changes(): string[] {
  return receiver.received.splice(0).flatMap(({ headers, body }) => {
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    const expected = createHmac('sha256', Buffer.alloc(32, 9)).update(signed).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${expected}`);
    const { data } = JSON.parse(body) as {
      data: { tags: { name: string; tag: string; change: string; digests: string[] }[] };
    };
    return data.tags.map(({ name, tag, change, digests }) => [`${name}:${tag} ${change}`, ...digests].join(' '));
  });
}

describe('publish', () => {
  it('notifies of a new tag and of one that moved, and not of one that did not or of a plan', async () => {
    const publish = async (...args: string[]): Promise<string[]> => {
      expect((await run(['publish', ...args, '--notify', receiver.url])).code).toBe(0);
      return changes();
    };
    expect(await publish(image.source, 'a/b:1')).toEqual([`a/b:1 new ${image.manifest.digest}`]);
    expect(await publish(image.source, 'a/b:1')).toEqual([]);
    expect(await publish(other.source, 'a/b:1', '--dry-run')).toEqual([]);
    expect(await publish(other.source, 'a/b:1')).toEqual([`a/b:1 moved ${other.manifest.digest}`]);
  });

  it('reads the address from the environment, which the option overrides', async () => {
    await run(['publish', image.source, 'a/b:1'], { GANTRY_NOTIFY_URL: receiver.url });
    expect(changes()).toHaveLength(1);
    await run(['publish', image.source, 'a/b:2', '--notify', receiver.url], { GANTRY_NOTIFY_URL: 'no url' });
    expect(changes()).toHaveLength(1);
    await run(['publish', image.source, 'a/b:3']);
    expect(changes()).toEqual([]);
  });

  it.each([[[]], [['--json']]])('succeeds with a warning where the receiver refuses, %j', async (options) => {
    receiver.answers.push(400);
    const { code, stdout, stderr } = await run([
      'publish',
      image.source,
      'a/b:1',
      '--notify',
      receiver.url,
      ...options,
    ]);
    expect(code).toBe(0);
    expect(stdout + stderr).toContain('was not notified of 1 changed tag: it answered 400');
    for (const secret of [SECRET, SECRET.slice(6), 'in-the-address']) expect(stdout + stderr).not.toContain(secret);
  });
});

describe('a wrong address or secret', () => {
  it.each([
    ['no address', ['--notify', 'hidden-word'], {}],
    ['an empty address', ['--notify', ''], {}],
    ['another scheme', ['--notify', 'ftp://hidden-word'], {}],
    ['a password in the address', ['--notify', 'https://user:hidden-word@hooks.example.com/'], {}],
    ['no secret', ['--notify', 'https://hooks.example.com/hidden-word'], { GANTRY_NOTIFY_SECRET: '' }],
    ['a bad secret', ['--notify', 'https://hooks.example.com/'], { GANTRY_NOTIFY_SECRET: 'hidden-word' }],
    ['no address in the variable', [], { GANTRY_NOTIFY_URL: 'hidden-word' }],
  ])('is wrong usage before anything is written, and is not printed: %s', async (_title, args, variables) => {
    for (const command of [
      ['publish', image.source, 'a/b:1'],
      ['prune', '--keep', '1'],
      ['rm', 'a/b:1'],
    ]) {
      const { code, stdout, stderr } = await run([...command, ...args], variables);
      expect(code).toBe(2);
      expect(stdout + stderr).toMatch(/--notify|GANTRY_NOTIFY_/);
      expect(stdout + stderr).not.toContain('hidden-word');
    }
    expect(bucket.objects.size).toBe(0);
  });
});

describe('rm and prune', () => {
  it('notify of tags that they removed', async () => {
    for (const tag of ['1', '2', '3']) await run(['publish', image.source, `a/b:${tag}`]);
    await run(['rm', 'a/b:1', '--dry-run', '--notify', receiver.url]);
    expect(changes()).toEqual([]);
    await run(['rm', 'a/b:1', '--notify', receiver.url]);
    expect(changes()).toEqual(['a/b:1 deleted']);
    await run(['prune', '--keep', '1', '--notify', receiver.url]);
    expect(changes()).toEqual(['a/b:2 deleted']);
  });

  it('also of those that a run removed before it failed', async () => {
    for (const tag of ['1', '2']) await run(['publish', image.source, `a/b:${tag}`]);
    bucket.before = (operation, key) => {
      if (operation === 'delete' && key.endsWith('/_tags/2')) throw new StorageError('STORAGE_DENIED', 'no');
    };
    expect((await run(['rm', 'a/b', '--notify', receiver.url])).code).toBe(1);
    expect(changes()).toEqual(['a/b:1 deleted']);
  });
});

describe('receive', () => {
  it('answers the client at once, and ends when the receiver has all messages', async () => {
    const abort = new AbortController();
    const warnings: string[] = [];
    const notifier = createNotifier(
      { url: new URL(receiver.url), secrets: parseSecrets(SECRET) ?? [] },
      (message) => warnings.push(message),
      { wait: () => Promise.resolve() },
    );
    // The image's blobs are in the bucket, as if they had been pushed.
    const publisher = await createPublisher({ store: bucket, realms: [], signer: createSigner(newKey()) });
    await publisher.publish(await openDir(image.folder), { name: nameOf('a/b'), tag: tagOf('0') });
    const endpoint = await openPushEndpoint({
      store: bucket,
      realms: [],
      keyFile: join(folder, 'key.pem'),
      notifier,
      host: '127.0.0.1',
      port: 0,
      login: null,
      allowDelete: true,
      maxBlob: 1,
      signal: abort.signal,
      onMessage: () => undefined,
      onPublished: () => undefined,
    });
    // The first attempt is answered with a failure, so that the message outlives the push.
    receiver.answers.push(503);
    const url = `http://${endpoint.address}/v2/a/b/manifests/1`;
    const headers = { 'content-type': image.manifest.mediaType };
    const body = Buffer.from(image.manifestBytes);
    for (let push = 0; push < 2; push += 1)
      expect((await fetch(url, { method: 'PUT', headers, body })).status).toBe(201);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(202);
    await endpoint.close();
    expect(warnings).toEqual([]);
    // A repeated message is the same one.
    const seen = changes();
    expect([...new Set(seen)].sort()).toEqual(['a/b:1 deleted', `a/b:1 new ${image.manifest.digest}`]);
  });
});
