/** The Worker as it is deployed: what Wrangler builds of it, what is evaluated at the start, and that it runs. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writePrivateKey } from '../../../src/manifest/signing/key.ts';
import { buildWorker } from '../../../src/publisher/deploy/deployment.ts';
import { openWrangler } from '../../../src/publisher/deploy/wrangler.ts';
import { makeStateFolder } from '../../../src/publisher/local/folder.ts';
import { WORKER_BUILD } from '../../../src/publisher/local/worker-bundle.ts';
import { OWN_CONFIG, readLocalBucket } from '../../../src/publisher/local/wrangler-config.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { hexOf } from '../../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { gantry } from '../../interop/programs.ts';
import { type FakeRegistry, startFakeRegistry } from '../../origin/fake-registry.ts';
import { type DirImage, writeDirImage } from '../dir-image.ts';

const { compatibility_flags: FLAGS } = parse(await readFile(OWN_CONFIG, 'utf8')) as { compatibility_flags: string[] };

// Wrangler and workerd are started, on machines that have other things to do.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let folder: string;
let built: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-deployment-'));
  built = join(folder, 'built');
  const environment = { ...process.env, HOME: folder, XDG_CONFIG_HOME: join(folder, 'config'), NO_COLOR: '1' };
  await buildWorker(await openWrangler(OWN_CONFIG, environment), built);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * Source files whose code the entry point imports statically. What `import()` names is evaluated when it is first
 * needed.
 */
async function sourcesAtStart(): Promise<readonly string[]> {
  const { metafile } = await build({
    ...WORKER_BUILD,
    entryPoints: { index: 'src/worker/index.ts' },
    outdir: folder,
    splitting: true,
    metafile: true,
    write: false,
  });
  const outputs: Metafile['outputs'] = metafile.outputs;
  const start = new Set(Object.keys(outputs).filter((path) => path.endsWith('/index.js')));
  for (const path of start) {
    for (const { kind, path: imported, external } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement' && external !== true) start.add(imported);
  }
  return [...start].flatMap((path) => {
    const inputs: Metafile['outputs'][string]['inputs'] = outputs[path]?.inputs ?? {};
    return Object.entries(inputs).flatMap(([input, { bytesInOutput }]) => (bytesInOutput > 0 ? [input] : []));
  });
}

describe('the code that is evaluated before the first request', () => {
  it('has no pages, no upstreams, nothing that derives or signs, and no library for tokens and signed URLs', async () => {
    const sources = await sourcesAtStart();
    expect(sources).toContain('src/worker/endpoints/v2/manifest.ts');
    const LATER =
      /^src\/(?:worker\/(?:pages|ingest\/(?:pull|upstream|fetch|fill))|origin|manifest\/(?:derive|signing))|\.tsx$|jose|aws4fetch|hono\/dist\/jsx/;
    expect(sources.filter((source) => LATER.test(source))).toEqual([]);
  });
});

describe('the compatibility flags', () => {
  it("give node:crypto, with the platform's own timers", async () => {
    const probe = new Miniflare(
      convertV4MiniflareOptions({
        cf: false,
        workers: [
          {
            name: 'probe',
            compatibilityDate: '2026-10-01',
            compatibilityFlags: FLAGS,
            modules: [
              {
                type: 'ESModule',
                path: 'index.js',
                contents: `export default { fetch() {
                  const timer = setTimeout(() => {});
                  clearTimeout(timer);
                  return Response.json([typeof timer, typeof process.getBuiltinModule('node:crypto').hash]);
                } };`,
              },
            ],
          },
        ],
      }),
    );
    try {
      const response = await probe.dispatchFetch('http://localhost/');
      expect(await response.json()).toEqual(['number', 'function']);
    } finally {
      await probe.dispose();
    }
  });
});

describe('the Worker as Wrangler builds it', () => {
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
            compatibilityFlags: FLAGS,
            name: 'gantry',
            modules: [{ type: 'ESModule', path: 'index.js', contents: await readFile(join(built, 'index.js')) }],
            r2Buckets: { BUCKET: { id: await readLocalBucket() } },
            unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
            bindings: {
              LOG: 'failures',
              ORIGINS: JSON.stringify([
                { name: 'up', pattern: 'mirror/theirs', remote: 'theirs', upstream: upstream.registry.href },
              ]),
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
    const manifest = await fetch(`${url}/v2/mirror/theirs/manifests/v1`, {
      headers: { accept: MEDIA_TYPE_OF_FORM['docker-schema1'] },
    });
    expect(manifest.status).toBe(200);
    expect(manifest.headers.get('content-type')).toBe(MEDIA_TYPE_OF_FORM['docker-schema1']);
    expect(await manifest.json()).toMatchObject({ schemaVersion: 1, name: 'mirror/theirs', tag: 'v1' });
  });
});
