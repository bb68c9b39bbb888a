/** The Worker as it is deployed: in modules, of which a pull needs the smaller part. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writePrivateKey } from '../../../src/manifest/key.ts';
import { withDeployment } from '../../../src/publisher/deploy/deployment.ts';
import { sizeOf } from '../../../src/publisher/deploy/worker-size.ts';
import { openWrangler } from '../../../src/publisher/deploy/wrangler.ts';
import { newKey } from '../../../src/publisher/key-file.ts';
import { makeStateFolder } from '../../../src/publisher/local/folder.ts';
import { type SplitWorker, splitWorker } from '../../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG, readLocalBucket } from '../../../src/publisher/local/wrangler-config.ts';
import { hexOf } from '../../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { gantry } from '../../interop/programs.ts';
import { type FakeRegistry, startFakeRegistry } from '../../origin/fake-registry.ts';
import { type DirImage, writeDirImage } from '../dir-image.ts';

const KIB = 1024;

// Wrangler and workerd are started, on machines that have other things to do.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let folder: string;
let worker: SplitWorker;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-split-'));
  worker = await splitWorker(OWN_CONFIG);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the modules of the Worker', () => {
  it('start with at most 60 KiB, minified and gzip', () => {
    expect(sizeOf(worker).start / KIB).toBeLessThanOrEqual(60);
  });

  it('leave pages, filling, tokens and signed addresses until somebody asks for them', () => {
    const waiting = worker.modules.filter(({ atStart, source }) => !atStart && source !== null).map(({ source }) => source);
    expect(waiting).toEqual(
      expect.arrayContaining([
        'src/worker/endpoints/browse.tsx',
        'src/worker/endpoints/help.tsx',
        'src/worker/endpoints/home.tsx',
        'src/worker/ingest/fill.ts',
        'src/worker/access/jwt.ts',
        'node_modules/aws4fetch/dist/aws4fetch.esm.mjs',
      ]),
    );
    expect(worker.modules.filter(({ atStart, source }) => atStart && source !== null).map(({ source }) => source)).toEqual(['src/worker/index.ts']);
  });

  it('are uploaded by Wrangler as they are', async () => {
    const out = join(folder, 'uploaded');
    const environment = { ...process.env, HOME: folder, XDG_CONFIG_HOME: join(folder, 'config'), NO_COLOR: '1' };
    const { code, stdout, stderr } = await withDeployment(OWN_CONFIG, worker, async (config) =>
      (await openWrangler(config, environment)).ask(['deploy', '--dry-run', '--outdir', out]),
    );
    expect({ code, said: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, said: '' });
    expect(stdout).toMatch(/env\.BUCKET \(gantry\)/);
    const uploaded = (await readdir(out)).filter((name) => name.endsWith('.js'));
    expect(uploaded.sort()).toEqual(worker.modules.map(({ name }) => name).sort());
    for (const { name, contents } of worker.modules) {
      const bytes = await readFile(join(out, name));
      expect(bytes.equals(contents), name).toBe(true);
    }
  });
});

describe('the Worker in modules', () => {
  let image: DirImage;
  let upstream: FakeRegistry;
  let miniflare: Miniflare;
  let url: string;

  beforeAll(async () => {
    image = await writeDirImage(join(folder, 'image'));
    const state = join(folder, 'state');
    const published = await gantry(['publish', image.source, 'test/own:v1', '--state', state], {
      env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
    });
    expect(published).toMatchObject({ code: 0 });
    upstream = await startFakeRegistry();
    const config = await readFile(join(image.folder, hexOf(image.config)));
    const { digest, mediaType } = image.manifest;
    upstream.answer = ({ path }) => {
      if (path === '/v2/theirs/manifests/v1' || path === `/v2/theirs/manifests/${digest}`) {
        return { headers: { 'content-type': mediaType, 'docker-content-digest': digest }, body: image.manifestBytes };
      }
      return path === `/v2/theirs/blobs/${image.config}` ? { body: config } : undefined;
    };
    miniflare = new Miniflare(
      convertV4MiniflareOptions({
        host: '127.0.0.1',
        port: 0,
        cf: false,
        resourcePersistencePath: (await makeStateFolder(state)).persist,
        log: new Log(LogLevel.NONE),
        handleStructuredLogs: () => undefined,
        workers: [
          {
            compatibilityDate: '2026-10-01',
            ...worker.options,
            name: 'gantry',
            modules: worker.modules.map(({ name, contents }) => ({ type: 'ESModule', path: name, contents })),
            r2Buckets: { BUCKET: { id: await readLocalBucket() } },
            unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
            bindings: {
              LOG: 'failures',
              ORIGINS: JSON.stringify([{ name: 'up', pattern: 'mirror/theirs', remote: 'theirs', upstream: upstream.registry.href }]),
              SIGNING_KEY: writePrivateKey(newKey()),
            },
          },
        ],
      }),
    );
    await miniflare.ready;
    url = (await miniflare.unsafeGetDirectURL('gantry')).origin;
  });

  afterAll(async () => {
    await miniflare.dispose();
    await upstream.close();
  });

  it('answers a pull', async () => {
    const manifest = await fetch(`${url}/v2/test/own/manifests/v1`, { headers: { accept: image.manifest.mediaType } });
    expect(manifest.status).toBe(200);
    expect(Buffer.from(await manifest.arrayBuffer()).equals(image.manifestBytes)).toBe(true);
    const blob = await fetch(`${url}/v2/test/own/blobs/${image.config}`);
    expect(blob.status).toBe(200);
    await blob.arrayBuffer();
  });

  it.each(['/', '/r/test/own', '/r/test/own:v1', '/help', '/help/tag-unknown'])('shows the page %s', async (path) => {
    const page = await fetch(`${url}${path}`, { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
    expect(await page.text()).toMatch(/^<!doctype html>/i);
  });

  it('fills a repository from another registry, and signs the schema 1 that it derives', async () => {
    const manifest = await fetch(`${url}/v2/mirror/theirs/manifests/v1`, { headers: { accept: MEDIA_TYPE_OF_FORM['docker-schema1'] } });
    expect(manifest.status).toBe(200);
    expect(manifest.headers.get('content-type')).toBe(MEDIA_TYPE_OF_FORM['docker-schema1']);
    expect(await manifest.json()).toMatchObject({ schemaVersion: 1, name: 'mirror/theirs', tag: 'v1' });
  });
});
