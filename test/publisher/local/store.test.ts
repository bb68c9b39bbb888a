/** The local store as a person uses it: commands as processes, beside a registry that is served and without one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { expectDescribed } from '../../json-output.ts';
import { readImageManifest } from '../../../src/manifest/read.ts';
import { hexOf } from '../../../src/registry/digest.ts';
import { type GantryServer, startGantry } from '../../interop/gantry-server.ts';
import { type Finished, gantry as runGantry } from '../../interop/programs.ts';
import { type DirImage, writeDirImage } from '../dir-image.ts';

const MAIN = new URL('../../../bin/gantry.js', import.meta.url).pathname;

// Each test starts a process or two, on machines that have other things to do.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

let folder: string;
let image: DirImage;
let server: GantryServer;
let env: NodeJS.ProcessEnv;

const gantry = (...args: readonly string[]): Promise<Finished> => runGantry(args, { env });
const publish = (source: string, name: string): Promise<Finished> =>
  gantry('publish', source, name, '--state', server.state);
const get = (name: string, tag: string): Promise<Response> =>
  fetch(`${server.url}/v2/${name}/manifests/${tag}`, { headers: { accept: image.manifest.mediaType } });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-local-'));
  env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  image = await writeDirImage(join(folder, 'image'));
  const state = join(folder, 'state');
  const before = await gantry('publish', image.source, 'test/before:v1', '--state', state);
  expect(before).toMatchObject({ code: 0 });
  server = await startGantry(state, { env });
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the local store', () => {
  it('serves what was published before it was served', async () => {
    const answer = await get('test/before', 'v1');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('docker-content-digest')).toBe(image.manifest.digest);
    expect(Buffer.from(await answer.arrayBuffer()).equals(image.manifestBytes)).toBe(true);
  });

  it('is written while it is served, and what is written can be pulled at once', async () => {
    expect(await publish(image.source, 'test/during:v1')).toMatchObject({ code: 0 });
    expect((await get('test/during', 'v1')).status).toBe(200);
    const listed = await gantry('ls', 'test/during', '--state', server.state, '--json');
    expect(JSON.parse(listed.stdout)).toMatchObject([{ tag: 'v1' }]);
  });

  it('cannot be served twice, and says where it is served', async () => {
    const { code, stderr } = await gantry('serve', '--port', '0', '--state', server.state);
    expect(code).toBe(1);
    expect(stderr).toContain(`is already served at ${server.url}`);
  });
});

describe('what cannot be published', () => {
  /** One clear message, exit code 1, and no trace of the tag. */
  async function isRefused(source: string, name: string, message: RegExp): Promise<void> {
    const { code, stdout, stderr } = await publish(source, `${name}:v1`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.match(/error:/g)).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/ {4}at /);
    expect((await get(name, 'v1')).status).toBe(404);
    expect((await fetch(`${server.url}/v2/${name}/tags/list`)).status).toBe(404);
  }

  it('a layer that is damaged', async () => {
    const damaged = await writeDirImage(join(folder, 'damaged'), {
      layers: [new Uint8Array(100_000), new Uint8Array(10)],
    });
    const layer = damaged.layers[0] ?? damaged.config;
    const [size = 0] = readImageManifest({ bytes: damaged.manifestBytes }).layers.map((one) => one.size);
    await writeFile(join(damaged.folder, hexOf(layer)), Buffer.alloc(size, 1));
    await isRefused(
      damaged.source,
      'bad/damaged',
      new RegExp(`error: the layer ${layer} is damaged: its content has the digest sha256:`),
    );
  });

  it('a manifest that is not JSON', async () => {
    await writeDirImage(join(folder, 'no-json'));
    await writeFile(join(folder, 'no-json', 'manifest.json'), 'not JSON at all');
    await isRefused(`dir:${join(folder, 'no-json')}`, 'bad/no-json', /error: the manifest cannot be published: .*JSON/);
  });

  it('an image whose layer or config is not there', async () => {
    const incomplete = await writeDirImage(join(folder, 'incomplete'));
    await rm(join(incomplete.folder, hexOf(incomplete.layers[1] ?? incomplete.config)));
    await isRefused(incomplete.source, 'bad/no-layer', /error: the source lacks the layer sha256:/);
    await rm(join(incomplete.folder, hexOf(incomplete.config)));
    await isRefused(incomplete.source, 'bad/no-config', /error: the source lacks the config sha256:/);
  });

  it('a folder that is not there', async () => {
    await isRefused(`dir:${join(folder, 'nowhere')}`, 'bad/nowhere', /error: there is no folder /);
  });
});

describe('a bucket that cannot be written', () => {
  it('is told where the state folder is a file', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    const { code, stdout, stderr } = await gantry('publish', image.source, 'library/app:v1', '--state', file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/error: the state folder .*a-file cannot be written/);
    expect(stderr).toMatch(/do: .*--state/);
  });

  it('is told where storage refuses the credentials', async () => {
    const asked: string[] = [];
    const storage = createServer((request, response) => {
      asked.push(request.method ?? '');
      request.resume();
      const body = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>';
      response.writeHead(403, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? undefined : body);
    }).listen(0, '127.0.0.1');
    await once(storage, 'listening');
    const variables = {
      ...env,
      AWS_ENDPOINT_URL: `http://127.0.0.1:${String((storage.address() as AddressInfo).port)}`,
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_REGION: 'auto',
    };
    const { code, stdout, stderr } = await runGantry(
      ['publish', image.source, 'library/app:v1', '--to', 's3://bucket'],
      { env: variables },
    );
    storage.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.match(/error:/g)).toHaveLength(1);
    expect(stderr).toMatch(/refuses the credentials[^]*do: Check .*AWS_ACCESS_KEY_ID/);
    expect(asked).not.toContain('PUT');
  });
});

describe('Ctrl-C', () => {
  it('ends a publish with 130, the tag untouched, and the next one goes on', async () => {
    const large = await writeDirImage(join(folder, 'large'), {
      layers: [crypto.getRandomValues(new Uint8Array(65_536)), ...someLarge()],
    });
    const child = spawn(
      process.execPath,
      [MAIN, 'publish', large.source, 'test/large:v1', '--state', server.state, '--json', '--jobs', '1'],
      {
        env,
        stdio: 'pipe',
      },
    );
    let output = '';
    let interrupted = false;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      // The small layer is there, the large one on its way.
      // A second signal would end it at once.
      if (!interrupted && (output.match(/"blob-started"/g) ?? []).length >= 3) interrupted = child.kill('SIGINT');
    });
    const errors: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(130);
    expect(errors.join('')).toMatch(/error: interrupted; each tag is either unchanged or completely updated/);
    expect(JSON.parse(output.trim().split('\n').at(-1) ?? '')).toMatchObject({ error: { code: 'INTERRUPTED' } });
    expect((await get('test/large', 'v1')).status).toBe(404);
    const again = await publish(large.source, 'test/large:v1');
    expect(again.stdout).toMatch(/[1-9]\d* of \d already stored/);
    expect((await get('test/large', 'v1')).status).toBe(200);
  });

  it('is how a served registry ends: with 0', async () => {
    const child = spawn(
      process.execPath,
      [MAIN, 'serve', '--port', '0', '--json', '--state', join(folder, 'other-state')],
      {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expectDescribed('serve', line.toString());
    const { url } = JSON.parse(line.toString()) as { url: string };
    expect((await fetch(`${url}/v2/demo/hello/manifests/latest`, { method: 'HEAD' })).status).toBe(200);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([0, null]);
    await expect(fetch(`${url}/v2/`)).rejects.toThrow();
  });
});

/** Two layers of 24 MiB that cannot be compressed. */
function someLarge(): Uint8Array[] {
  return [1, 2].map(() => {
    const bytes = new Uint8Array(24 * 2 ** 20);
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    return bytes;
  });
}
