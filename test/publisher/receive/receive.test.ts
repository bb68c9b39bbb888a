/** The push endpoint, over HTTP as clients use it. */
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changeSettings } from '../../../src/bucket/format.ts';
import { createSigner } from '../../../src/manifest/signing/jws.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { pushContext } from '../../../src/publisher/receive/context.ts';
import { type ReceiveServer, startReceiver } from '../../../src/publisher/receive/server.ts';
import { openUploads, type Uploads } from '../../../src/publisher/receive/uploads.ts';
import { readStoredTag, readTagList } from '../../../src/publisher/commands/stored.ts';
import { CATALOG_KEY, tagListKey } from '../../../src/registry/keys.ts';
import { Bucket, nameOf, tagOf } from '../gc-bucket.ts';

const signer = createSigner(newKey());
const digestOf = (bytes: Uint8Array | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

let folder: string;
let uploads: Uploads;
let bucket: Bucket;
let server: ReceiveServer;
let url: string;

async function start(
  options: { login?: { user: string; password: string }; allowDelete?: boolean } = {},
): Promise<void> {
  bucket = new Bucket();
  uploads = await openUploads({ maxSize: 1_000_000, folder });
  const context = pushContext({
    store: bucket,
    realms: [],
    signer,
    uploads,
    allowDelete: options.allowDelete === true,
    signal: new AbortController().signal,
    onPublished: () => Promise.resolve(),
  });
  server = await startReceiver(context, {
    host: '127.0.0.1',
    port: 0,
    login: options.login ?? null,
    onFailure: () => undefined,
  });
  url = `http://127.0.0.1:${String(server.port)}`;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-receive-test-'));
});
afterEach(async () => {
  await server.close();
  await uploads.close();
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true, force: true });
});

async function code(response: Response): Promise<string> {
  const { errors } = (await response.json()) as { errors: { code: string }[] };
  return errors[0]?.code ?? '';
}

async function pushBlob(name: string, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  const begun = await fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST' });
  expect(begun.status).toBe(202);
  const done = await fetch(`${url}${begun.headers.get('location') ?? ''}?digest=${digest}`, {
    method: 'PUT',
    body: Buffer.from(bytes),
  });
  expect(done.status).toBe(201);
  return digest;
}

/** Pushes the blobs of an image, and gives its schema 2 manifest. */
async function pushImageBlobs(name: string): Promise<string> {
  const layer = randomBytes(2_000);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
      history: [{ created: '2024-01-01T00:00:00Z', created_by: 'COPY' }],
    }),
  );
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      size: config.length,
      digest: await pushBlob(name, config),
    },
    layers: [
      {
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        size: layer.length,
        digest: await pushBlob(name, layer),
      },
    ],
  });
}

async function putManifest(name: string, reference: string, manifest: string): Promise<Response> {
  return fetch(`${url}/v2/${name}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': (JSON.parse(manifest) as { mediaType: string }).mediaType },
    body: manifest,
  });
}

describe('a push of a tag', () => {
  it('is answered when the tag is published in every form, and listed', async () => {
    await start();
    const manifest = await pushImageBlobs('team/app');
    const response = await putManifest('team/app', '1', manifest);
    expect([response.status, response.headers.get('docker-content-digest')]).toEqual([201, digestOf(manifest)]);
    const { record } = await readStoredTag(bucket, nameOf('team/app'), tagOf('1'));
    expect(record.forms.map(({ form }) => form)).toEqual(expect.arrayContaining(['docker-schema2', 'docker-schema1']));
    expect((await readTagList(bucket, nameOf('team/app'))).map(({ tag }) => tag)).toEqual(['1']);
  });

  it('mends the lists that an earlier run left behind when it was cut off', async () => {
    await start();
    const manifest = await pushImageBlobs('team/app');
    expect((await putManifest('team/app', 'lost', manifest)).status).toBe(201);
    // Killed between the tag and the lists.
    await bucket.delete([tagListKey(nameOf('team/app')), CATALOG_KEY]);
    await server.close();
    await uploads.close();
    const before = bucket;
    await start();
    for (const [key, object] of before.objects) bucket.objects.set(key, object);
    expect((await putManifest('team/app', '2', manifest)).status).toBe(201);
    expect((await readTagList(bucket, nameOf('team/app'))).map(({ tag }) => tag)).toEqual(['2', 'lost']);
  });

  it('publishes nothing where a blob was not pushed', async () => {
    await start();
    const manifest = (await pushImageBlobs('team/app')).replace(/"digest":"sha256:.{4}/, '"digest":"sha256:0000');
    const response = await putManifest('team/app', '1', manifest);
    expect([response.status, await code(response)]).toEqual([400, 'MANIFEST_BLOB_UNKNOWN']);
    await expect(readStoredTag(bucket, nameOf('team/app'), tagOf('1'))).rejects.toThrow('nothing is published');
  });

  it('refuses a manifest of more than 4 MiB', async () => {
    await start();
    const response = await fetch(`${url}/v2/a/manifests/1`, { method: 'PUT', body: Buffer.alloc(4 * 1024 ** 2 + 1) });
    expect([response.status, await code(response)]).toEqual([413, 'SIZE_INVALID']);
  });
});

describe('an immutable tag', () => {
  const refused = async (response: Response): Promise<unknown> => {
    const { errors } = (await response.json()) as { errors: unknown[] };
    return [response.status, errors[0]];
  };
  const DENIED = {
    code: 'DENIED',
    message: expect.stringMatching(/^team\/app:v1 is immutable by the rule v\*/) as string,
  };

  beforeEach(async () => {
    await start({ allowDelete: true });
    await changeSettings(bucket, () => ({ immutable: [{ tags: 'v*', repository: '*', allowForce: true }] }));
  });

  it('takes the same manifest again, and refuses another one and its deletion with DENIED', async () => {
    const manifest = await pushImageBlobs('team/app');
    for (let push = 0; push < 2; push += 1) expect((await putManifest('team/app', 'v1', manifest)).status).toBe(201);
    const other = await pushImageBlobs('team/app');
    expect(await refused(await putManifest('team/app', 'v1', other))).toEqual([403, DENIED]);
    expect((await putManifest('team/app', 'latest', other)).status).toBe(201);
    const deleted = await fetch(`${url}/v2/team/app/manifests/v1`, { method: 'DELETE' });
    expect(await refused(deleted)).toEqual([403, DENIED]);
    const head = await fetch(`${url}/v2/team/app/manifests/v1`, { method: 'HEAD' });
    expect(head.headers.get('docker-content-digest')).toBe(digestOf(manifest));
  });

  it('that two clients push at once is that of one, and the other is refused', async () => {
    const manifests = [await pushImageBlobs('team/app'), await pushImageBlobs('team/app')];
    const pushes = await Promise.all(manifests.map((manifest) => putManifest('team/app', 'v1', manifest)));
    expect(pushes.map(({ status }) => status).sort()).toEqual([201, 403]);
    const head = await fetch(`${url}/v2/team/app/manifests/v1`, { method: 'HEAD' });
    const won = manifests[pushes.findIndex(({ status }) => status === 201)] ?? '';
    expect(head.headers.get('docker-content-digest')).toBe(digestOf(won));
  });
});

describe('an upload', () => {
  it('continues after a cut connection where the client is told', async () => {
    await start();
    const bytes = randomBytes(300_000);
    const begun = await fetch(`${url}/v2/a/b/blobs/uploads/`, { method: 'POST' });
    const location = `${url}${begun.headers.get('location') ?? ''}`;
    await new Promise<void>((resolve) => {
      const cut = request(location, { method: 'PATCH', headers: { 'content-length': '300000' } });
      cut.on('error', () => {
        resolve();
      });
      cut.write(bytes.subarray(0, 100_000), () => cut.destroy(new Error('cut')));
    });
    // The server may not have seen the end of the connection yet: it then says that another request is writing.
    const state = await fetch(location);
    const arrived = Number(/^0-(\d+)$/.exec(state.headers.get('range') ?? '')?.[1]) + 1;
    expect(state.status).toBe(204);
    expect(arrived).toBeLessThanOrEqual(100_000);
    let done: Response;
    let tries = 0;
    do {
      const now = await fetch(location);
      const from = Number(/^0-(\d+)$/.exec(now.headers.get('range') ?? '')?.[1]) + 1;
      const at = from === 1 ? 0 : from;
      done = await fetch(`${location}?digest=${digestOf(bytes)}`, {
        method: 'PUT',
        headers: { 'content-range': `${String(at)}-299999` },
        body: bytes.subarray(at),
      });
      tries += 1;
    } while (done.status !== 201 && tries < 50);
    expect(done.status).toBe(201);
    const back = await fetch(`${url}/v2/a/b/blobs/${digestOf(bytes)}`);
    expect(Buffer.from(await back.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('refuses a chunk that does not begin where the last one ended, and says where that is', async () => {
    await start();
    const begun = await fetch(`${url}/v2/a/blobs/uploads/`, { method: 'POST' });
    const location = `${url}${begun.headers.get('location') ?? ''}`;
    await fetch(location, { method: 'PATCH', body: 'abc', headers: { 'content-range': '0-2' } });
    const wrong = await fetch(location, { method: 'PATCH', body: 'xyz', headers: { 'content-range': '5-7' } });
    expect([wrong.status, wrong.headers.get('range')]).toEqual([416, '0-2']);
    await fetch(location, { method: 'DELETE' });
  });

  it('refuses bytes of another digest, and stores nothing', async () => {
    await start();
    const response = await fetch(`${url}/v2/a/blobs/uploads/?digest=${digestOf('other')}`, {
      method: 'POST',
      body: 'bytes',
    });
    expect([response.status, await code(response)]).toEqual([400, 'DIGEST_INVALID']);
    expect((await fetch(`${url}/v2/a/blobs/${digestOf('bytes')}`)).status).toBe(404);
  });

  it('refuses a blob over the limit', async () => {
    await start();
    const response = await fetch(`${url}/v2/a/blobs/uploads/?digest=${digestOf('x')}`, {
      method: 'POST',
      body: Buffer.alloc(1_000_001),
    });
    expect([response.status, await code(response)]).toEqual([413, 'SIZE_INVALID']);
  });
});

describe('who may push', () => {
  it('without a password only requests to a name of this machine, so that no web page can', async () => {
    await start();
    const status = await new Promise<number>((resolve, reject) => {
      request(`${url}/v2/`, { headers: { host: 'rebound.example.com' } }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it('with a password only requests that have it', async () => {
    await start({ login: { user: 'ci', password: 'secret' } });
    const none = await fetch(`${url}/v2/`);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="gantry receive"']);
    const basic = (text: string): RequestInit => ({
      headers: { authorization: `Basic ${Buffer.from(text).toString('base64')}` },
    });
    expect((await fetch(`${url}/v2/`, basic('ci:wrong'))).status).toBe(401);
    expect((await fetch(`${url}/v2/`, basic('ci:secret'))).status).toBe(200);
  });
});

describe('deleting', () => {
  it('is refused unless it was allowed', async () => {
    await start();
    const response = await fetch(`${url}/v2/a/manifests/1`, { method: 'DELETE' });
    expect([response.status, await code(response)]).toEqual([405, 'UNSUPPORTED']);
  });

  it('removes a tag and its entry in the list', async () => {
    await start({ allowDelete: true });
    const manifest = await pushImageBlobs('a');
    await putManifest('a', '1', manifest);
    await putManifest('a', '2', manifest);
    expect((await fetch(`${url}/v2/a/manifests/1`, { method: 'DELETE' })).status).toBe(202);
    expect(await (await fetch(`${url}/v2/a/tags/list`)).json()).toEqual({ name: 'a', tags: ['2'] });
    expect((await fetch(`${url}/v2/a/manifests/1`, { method: 'DELETE' })).status).toBe(404);
  });
});
