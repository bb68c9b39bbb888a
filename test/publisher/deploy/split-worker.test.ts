/** The Worker and its annex as they are deployed: in modules, the Worker with no more than pulls need. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writePrivateKey } from '../../../src/manifest/signing/key.ts';
import { annexConfigOf, withDeployment } from '../../../src/publisher/deploy/deployment.ts';
import { sizeOf } from '../../../src/publisher/deploy/worker-size.ts';
import { openWrangler } from '../../../src/publisher/deploy/wrangler.ts';
import { newKey } from '../../../src/publisher/publish/key-file.ts';
import { makeStateFolder } from '../../../src/publisher/local/folder.ts';
import { type SplitWorker, type SplitWorkers, splitWorkers } from '../../../src/publisher/local/worker-bundle.ts';
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
let workers: SplitWorkers;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-split-'));
  workers = await splitWorkers(OWN_CONFIG);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the modules of the Worker', () => {
  it('have at most 60 KiB in all, minified and gzip', () => {
    expect(sizeOf(workers.worker).total / KIB).toBeLessThanOrEqual(60);
  });

  it('have nothing of pages, of filling and of other registries, nor what derives and signs', () => {
    const inputs = workers.worker.modules.flatMap((module) => module.inputs);
    expect(inputs).toContain('src/worker/endpoints/manifest.ts');
    const NOT_HERE =
      /^src\/(?:worker\/(?:pages|ingest)|origin|manifest\/(?:derive|sign|jws|key))|\.tsx$|@noble|hono\/dist\/jsx/;
    expect(inputs.filter((input) => NOT_HERE.test(input))).toEqual([]);
  });

  it('use nothing of Node, without which they run', () => {
    const text = workers.worker.modules.map(({ contents }) => new TextDecoder().decode(contents)).join('\n');
    expect(text.match(/["']node:|\bBuffer\b|\bprocess\.(?!env)/g) ?? []).toEqual([]);
  });

  it('leave tokens and signed addresses until somebody asks for them', () => {
    const { modules } = workers.worker;
    const waiting = modules.filter(({ atStart, source }) => !atStart && source !== null).map(({ source }) => source);
    expect(waiting).toEqual(
      expect.arrayContaining(['src/worker/access/jwt.ts', 'node_modules/aws4fetch/dist/aws4fetch.esm.mjs']),
    );
    expect(modules.filter(({ atStart, source }) => atStart && source !== null).map(({ source }) => source)).toEqual([
      'src/worker/index.ts',
    ]);
  });

  it('are uploaded by Wrangler as they are, and those of the annex over the same bucket', async () => {
    const { worker, annex } = workers;
    if (annex === null) throw new Error('there is no annex');
    const environment = { ...process.env, HOME: folder, XDG_CONFIG_HOME: join(folder, 'config'), NO_COLOR: '1' };
    await withDeployment(OWN_CONFIG, workers, async (configs) => {
      for (const [title, config, { modules }] of [
        ['worker', configs.worker, worker],
        ['annex', configs.annex ?? '', annex],
      ] as const) {
        const out = join(folder, 'uploaded', title);
        const { code, stdout, stderr } = await (
          await openWrangler(config, environment)
        ).ask(['deploy', '--dry-run', '--outdir', out]);
        expect({ code, said: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, said: '' });
        expect(stdout).toMatch(/env\.BUCKET \(gantry\)/);
        if (title === 'worker') expect(stdout).toMatch(/env\.ANNEX \(gantry-annex#Annex\)/);
        const uploaded = (await readdir(out)).filter((name) => name.endsWith('.js'));
        expect(uploaded.sort()).toEqual(modules.map(({ name }) => name).sort());
        for (const { name, contents } of modules) {
          const bytes = await readFile(join(out, name));
          expect(bytes.equals(contents), name).toBe(true);
        }
      }
    });
  });
});

describe('the configuration of the annex', () => {
  it('is that of the Worker where they must agree, opens no address, and has no settings', () => {
    const toml = {
      name: 'mine',
      compatibility_date: '2026-10-01',
      account_id: 'a1',
      r2_buckets: [{ binding: 'BUCKET', bucket_name: 'mine' }],
      workers_dev: true,
      routes: ['mine.example'],
      vars: { REALMS: [] },
      services: [{ binding: 'ANNEX', service: 'mine-annex' }],
    };
    const { compatibility_date, account_id, r2_buckets } = toml;
    expect(annexConfigOf(toml, 'mine-annex')).toEqual({
      ...{ name: 'mine-annex', compatibility_date, account_id, r2_buckets },
      ...{ workers_dev: false, preview_urls: false },
    });
  });

  it('has the flags of the Worker, but does not refuse Node', () => {
    const flags = ['no_nodejs_compat', 'global_fetch_strictly_public', 'no_nodejs_compat_v2'];
    expect(annexConfigOf({ compatibility_flags: flags }, 'mine-annex')).toMatchObject({
      compatibility_flags: ['global_fetch_strictly_public'],
    });
  });

  it('agrees with the file for `wrangler dev`', async () => {
    const [own, annex] = await Promise.all(
      [OWN_CONFIG, OWN_CONFIG.replace(/toml$/, 'annex.toml')].map(async (path) => parse(await readFile(path, 'utf8'))),
    );
    const { main, ...others } = annex ?? {};
    expect(main).toBe('src/worker/annex.ts');
    expect(annexConfigOf(own ?? {}, 'gantry-annex')).toEqual({ ...others, preview_urls: false });
  });
});

const modulesOf = ({ modules }: SplitWorker): { type: 'ESModule'; path: string; contents: Uint8Array }[] =>
  modules.map(({ name, contents }) => ({ type: 'ESModule', path: name, contents }));

describe('Worker and annex in modules', () => {
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
            ...workers.options,
            name: 'gantry',
            modules: modulesOf(workers.worker),
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
          {
            compatibilityDate: '2026-10-01',
            name: 'gantry-annex',
            modules: workers.annex === null ? [] : modulesOf(workers.annex),
            r2Buckets: { BUCKET: { id: await readLocalBucket() } },
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
