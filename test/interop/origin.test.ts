/** Real registries as upstreams, and real clients that pull from them through the edge. */
import { spawn } from 'node:child_process';
import { createSign } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { buildSchema1 } from '../../src/manifest/schema1.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { BUSYBOX_PROGRAMS, makeBusybox } from './busybox.ts';
import { startDockerDaemon } from './docker-daemon.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { buildLibtrust } from './libtrust.ts';
import { get, MODERN, OLD, type OriginEdge, pull, reasonOf, startOriginEdge } from './origin-edge.ts';
import { type Peer, type Pulp2Repository, type Pulp3, startCrane, startPulp2Web, startPulp3 } from './origin-pulp.ts';
import {
  addImage,
  addManifest,
  type Content,
  type Document,
  emptyContent,
  sha256,
  startUpstream,
  TYPES,
  type Upstream,
} from './origin-upstream.ts';
import { end, freePort, gantry, missingPrograms, must, titleWith, until } from './programs.ts';

const USER = { username: 'edge', password: 'a secret of the edge' } as const;
const BASIC = `Basic ${Buffer.from(`${USER.username}:${USER.password}`).toString('base64')}`;

let folder: string;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-origin-'));
});

afterAll(async () => {
  for (const close of closing.reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

const noRegistry = missingPrograms('docker-registry', 'htpasswd', 'openssl', ...BUSYBOX_PROGRAMS);
const noJudges = missingPrograms('go');
const noDocker = missingPrograms('dockerd');
const noNginx = missingPrograms('nginx');

/** docker-registry behind a token service of ours, as its specification describes it. */
async function startTokenRegistry(
  below: string,
): Promise<{ readonly host: string; readonly asked: string[]; readonly close: () => Promise<void> }> {
  await mkdir(below, { recursive: true });
  const [key, certificate] = [join(below, 'key.pem'), join(below, 'cert.pem')];
  await must('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    key,
    '-out',
    certificate,
    '-subj',
    '/CN=test',
    '-days',
    '2',
  ]);
  const secret = await readFile(key, 'utf8');
  const chain = (await readFile(certificate, 'utf8')).replace(/-----[A-Z ]+-----|\s/g, '');
  const asked: string[] = [];
  const service = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://token');
    asked.push(request.url ?? '');
    if (request.headers.authorization !== BASIC) {
      response.writeHead(401);
      response.end();
      return;
    }
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const access = searchParams.getAll('scope').map((scope) => {
      const [, type, name, actions = ''] = /^(.+?):(.+):(.+)$/.exec(scope) ?? [];
      return { type, name, actions: actions.split(',') };
    });
    const signed = `${part({ typ: 'JWT', alg: 'ES256', x5c: [chain] })}.${part({ iss: 'test', sub: 'edge', aud: searchParams.get('service'), exp: now + 300, nbf: now - 10, iat: now, jti: String(asked.length), access })}`;
    const signature = createSign('sha256').update(signed).sign({ key: secret, dsaEncoding: 'ieee-p1363' });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token: `${signed}.${signature.toString('base64url')}`, expires_in: 300 }));
  }).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const address = service.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const host = `127.0.0.1:${String(await freePort())}`;
  const config = join(below, 'config.yml');
  await writeFile(
    config,
    [
      'version: 0.1',
      'log: { level: error }',
      `storage: { filesystem: { rootdirectory: ${JSON.stringify(join(below, 'data'))} } }`,
      `http: { addr: ${JSON.stringify(host)} }`,
      `auth: { token: { realm: "http://127.0.0.1:${String(address.port)}/token", service: registry, issuer: test, rootcertbundle: ${JSON.stringify(certificate)} } }`,
      '',
    ].join('\n'),
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  await until('docker-registry', async () => (await fetch(`http://${host}/v2/`)).status < 500);
  return {
    host,
    asked,
    close: async () => {
      await end(child);
      service.closeAllConnections();
      service.close();
    },
  };
}

describe.skipIf(noRegistry.length > 0)(titleWith('docker-registry as upstream', noRegistry), () => {
  let edge: OriginEdge;
  let token: Awaited<ReturnType<typeof startTokenRegistry>>;
  let layout: string;
  let state: string;
  let basicHost: string;

  beforeAll(async () => {
    layout = await makeBusybox(folder);
    const htpasswd = join(folder, 'htpasswd');
    await writeFile(htpasswd, await must('htpasswd', ['-Bbn', USER.username, USER.password]));
    const basic = await startDockerRegistry(join(folder, 'basic'), { htpasswd });
    closing.push(() => basic.close());
    basicHost = basic.host;
    token = await startTokenRegistry(join(folder, 'token'));
    closing.push(() => token.close());
    const creds = `${USER.username}:${USER.password}`;
    for (const host of [basic.host, token.host]) {
      for (const format of ['v2s2', 'oci']) {
        await must('skopeo', [
          'copy',
          '--dest-tls-verify=false',
          '--dest-creds',
          creds,
          '--format',
          format,
          `oci:${layout}:latest`,
          `docker://${host}/mirror/busybox:${format}`,
        ]);
      }
    }
    state = join(folder, 'state');
    edge = await startOriginEdge(
      [
        {
          name: 'basic',
          pattern: 'basic/*',
          upstream: `http://${basic.host}`,
          remote: 'mirror/*',
          ns: 'docker.io',
          lifetime: 1,
        },
        { name: 'token', pattern: 'token/*', upstream: `http://${token.host}`, remote: 'mirror/*' },
        { name: 'denied', pattern: 'denied/*', upstream: `http://${basic.host}`, remote: 'mirror/*' },
        { name: 'docker', pattern: 'library/*', upstream: `http://${token.host}`, remote: 'mirror/*' },
      ],
      { credentials: { basic: USER, token: USER, docker: USER, denied: { ...USER, password: 'another' } }, state },
    );
    closing.push(() => edge.close());
  });

  it.each(['basic/busybox:v2s2', 'basic/busybox:oci', 'token/busybox:v2s2', 'token/busybox:oci'])(
    'is copied by skopeo through the edge, byte for byte: %s',
    async (image) => {
      const out = join(folder, image.replaceAll(/[/:]/g, '-'));
      await must('skopeo', ['copy', '--src-tls-verify=false', `docker://${edge.host}/${image}`, `dir:${out}`]);
      const manifest = await readFile(join(out, 'manifest.json'));
      const { config, layers } = JSON.parse(manifest.toString()) as {
        config: { digest: string };
        layers: { digest: string }[];
      };
      for (const { digest } of [config, ...layers])
        expect(sha256(await readFile(join(out, digest.slice(7))))).toBe(digest);
      const [name = '', tag = ''] = image.split(':');
      expect((await get(`${edge.url}/v2/${name}/manifests/${tag}`, { headers: MODERN })).digest).toBe(sha256(manifest));
    },
  );

  it('asks for one token a repository, however often it is pulled', async () => {
    await pull(edge.url, 'token/busybox', 'v2s2');
    const before = token.asked.length;
    await pull(edge.url, 'token/busybox', 'v2s2');
    await get(`${edge.url}/v2/token/busybox/manifests/none`, { headers: MODERN });
    expect(token.asked.length).toBe(before);
    // Never with a scope of another kind than pull, and never for what is not asked.
    expect(
      token.asked
        .filter((url) => url.includes('pull') && !url.includes('push'))
        .every((url) => decodeURIComponent(url).includes('repository:mirror/busybox:pull')),
    ).toBe(true);
  });

  it.skipIf(noJudges.length > 0).each(['basic/busybox:v2s2', 'token/busybox:oci'])(
    titleWith('reaches an engine from before 1.10 as a schema 1 that libtrust verifies, with its blobs: %s', noJudges),
    async (image) => {
      const verify = await buildLibtrust();
      const [name = '', tag = ''] = image.split(':');
      const got = await get(`${edge.url}/v2/${name}/manifests/${tag}`, { headers: OLD });
      expect([got.status, got.headers['content-type']]).toEqual([200, TYPES.schema1]);
      const payload = await verify(got.body);
      expect(got.headers['docker-content-digest']).toBe(sha256(payload));
      const { fsLayers } = JSON.parse(Buffer.from(payload).toString()) as { fsLayers: { blobSum: string }[] };
      for (const { blobSum } of fsLayers) {
        const head = await get(`${edge.url}/v2/${name}/blobs/${blobSum}`, { method: 'HEAD', headers: OLD });
        const blob = await get(`${edge.url}/v2/${name}/blobs/${blobSum}`, { headers: OLD });
        expect([head.status, blob.status, blob.digest]).toEqual([200, 200, blobSum]);
        expect(head.headers['content-length']).toBe(String(blob.length));
      }
      // What the engine prints as the digest can be pulled again.
      expect(
        (await get(`${edge.url}/v2/${name}/manifests/${sha256(payload)}`, { headers: OLD })).body.equals(got.body),
      ).toBe(true);
    },
  );

  it('is 503, not 404, where the upstream refuses our credentials', async () => {
    const got = await get(`${edge.url}/v2/denied/busybox/manifests/v2s2`, { headers: MODERN });
    expect([got.status, reasonOf(got)]).toEqual([503, 'upstream-unavailable']);
    const shown = JSON.stringify([got.body.toString(), edge.log]);
    expect(shown).not.toContain('another');
    expect(shown).not.toContain(Buffer.from(`${USER.username}:another`).toString('base64'));
  });

  it('is mirrored for containerd, which names the registry it means by ns', async () => {
    const got = await get(`${edge.url}/v2/busybox/manifests/v2s2?ns=docker.io`, { headers: MODERN });
    expect(got.status).toBe(404);
    const named = await get(`${edge.url}/v2/mirror/busybox/manifests/v2s2?ns=docker.io`, { headers: MODERN });
    expect([named.status, named.digest]).toEqual([
      200,
      (await get(`${edge.url}/v2/basic/busybox/manifests/v2s2`, { headers: MODERN })).digest,
    ]);
    const other = await get(`${edge.url}/v2/basic/busybox/manifests/v2s2?ns=quay.io`, { headers: MODERN });
    expect([other.status, reasonOf(other)]).toEqual([404, 'name-unknown']);
  });

  it('lists the tags that the upstream has', async () => {
    const got = await get(`${edge.url}/v2/basic/busybox/tags/list`);
    expect(JSON.parse(got.body.toString())).toEqual({ name: 'basic/busybox', tags: ['oci', 'v2s2'] });
    const page = await get(`${edge.url}/v2/basic/busybox/tags/list?n=1`);
    expect([JSON.parse(page.body.toString()), page.headers.link]).toEqual([
      { name: 'basic/busybox', tags: ['oci'] },
      '</v2/basic/busybox/tags/list?n=1&last=oci>; rel="next"',
    ]);
  });

  it.skipIf(noDocker.length > 0)(
    titleWith('is pulled by a Docker engine that has the edge for a registry mirror', noDocker),
    async () => {
      const daemon = await startDockerDaemon(join(folder, 'docker'), { args: [`--registry-mirror=${edge.url}`] });
      try {
        await daemon.docker('pull', 'busybox:v2s2');
        expect(await daemon.docker('run', '--rm', 'busybox:v2s2')).toMatch(/made for a test/);
        await daemon.docker('pull', `${edge.host}/token/busybox:oci`);
      } finally {
        await daemon.close();
      }
    },
  );

  it('loses to what is published here: the upstream has no say in such a tag any more', async () => {
    await pull(edge.url, 'basic/busybox', 'v2s2');
    const before = await get(`${edge.url}/v2/basic/busybox/manifests/v2s2`, { headers: MODERN });
    const dir = join(folder, 'published');
    await must('skopeo', ['copy', '--src-tls-verify=false', `docker://${edge.host}/basic/busybox:v2s2`, `dir:${dir}`]);
    const { code, stderr } = await gantry(['publish', `dir:${dir}`, 'basic/busybox:v2s2', '--state', state], {
      env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
    });
    expect(stderr + String(code)).toMatch(/0$/);
    const info = await edge.server.target.store.head('repositories/basic/busybox/_tags/v2s2');
    expect(info?.metadata['gantry-origin']).toBeUndefined();
    // The upstream's tag moves, and the time passes after which it would have been asked.
    const creds = `${USER.username}:${USER.password}`;
    await must('skopeo', [
      'copy',
      '--dest-tls-verify=false',
      '--dest-creds',
      creds,
      '--format',
      'oci',
      `oci:${layout}:latest`,
      `docker://${basicHost}/mirror/busybox:v2s2`,
    ]);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await get(`${edge.url}/v2/basic/busybox/manifests/v2s2`, { headers: MODERN })).digest).toBe(before.digest);
  });
});

/** A schema 1 as Pulp's own converter published it: signed by a key of its own. */
function addSchema1(content: Content, config: Buffer, layers: readonly string[], name: string, tag: string): Document {
  const built = buildSchema1({ config, layers, name, tag }, 'compat');
  if (built.kind === 'refused') throw new Error(built.explanation);
  const bytes = Buffer.from(createSigner(newKey()).sign(built.payload, '2017-01-01T00:00:00Z'));
  const document = { bytes, mediaType: TYPES.schema1, digest: sha256(built.payload) };
  content.manifests.set(document.digest, document);
  return document;
}

function listOf(
  content: Content,
  images: readonly { readonly manifest: Document; readonly architecture: string }[],
  mediaType: string,
): Document {
  return addManifest(content, mediaType, {
    schemaVersion: 2,
    mediaType,
    manifests: images.map(({ manifest, architecture }) => ({
      mediaType: manifest.mediaType,
      size: manifest.bytes.length,
      digest: manifest.digest,
      platform: { os: 'linux', architecture },
    })),
  });
}

describe.skipIf(noNginx.length > 0)(titleWith('Pulp 2 behind crane as upstream', noNginx), () => {
  let edge: OriginEdge;
  let crane: Peer & { readonly seen: { readonly path: string }[] };
  const documents = new Map<string, Document>();

  beforeAll(async () => {
    const content = emptyContent();
    const both = addImage(content, 'pulp/image:both', { layers: [3_000, 40_000] });
    const lone = addImage(content, 'pulp/image:lone', { layers: [2_000] });
    const sent = addImage(content, 'pulp/image:sent', { layers: [3_000] });
    const arm = addImage(content, 'pulp/image:arm', { layers: [1_000], architecture: 'arm64' });
    const configOf = (digest: string): Buffer => content.blobs.get(digest) ?? Buffer.alloc(0);
    const old = addSchema1(content, configOf(both.config), both.layers, 'pulp/image', 'both');
    const only = addSchema1(content, configOf(lone.config), lone.layers, 'pulp/image', 'only1');
    const list = listOf(
      content,
      [
        { manifest: both.manifest, architecture: 'amd64' },
        { manifest: arm.manifest, architecture: 'arm64' },
      ],
      TYPES.list,
    );
    for (const [what, document] of Object.entries({
      both: both.manifest,
      both1: old,
      only1: only,
      lone: lone.manifest,
      sent: sent.manifest,
      multi: list,
    }))
      documents.set(what, document);
    const repository: Pulp2Repository = {
      name: 'pulp/image',
      schema1: new Map([
        ['both', old],
        [old.digest, old],
        ['only1', only],
        [only.digest, only],
      ]),
      schema2: new Map([
        ['both', both.manifest],
        ['lone', lone.manifest],
        ...[both, lone, sent, arm].map(({ manifest }) => [manifest.digest, manifest] as const),
      ]),
      lists: new Map([
        ['multi', list],
        [list.digest, list],
      ]),
      amd64: new Map([['multi', [both.manifest.digest, 2]]]),
      blobs: content.blobs,
    };
    const web = await startPulp2Web(await mkdtemp(join(folder, 'pulp2-')), repository);
    closing.push(() => web.close());
    crane = await startCrane(web.url, repository);
    closing.push(() => crane.close());
    edge = await startOriginEdge([
      { name: 'crane', pattern: 'pulp/*', upstream: crane.url, missing: 'any' },
      { name: 'sent', pattern: 'sent/*', remote: 'pulp/*', upstream: crane.url, blobs: 'redirect' },
    ]);
    closing.push(() => edge.close());
  });

  it.each([
    ['both', 'modern', 'both'],
    ['both', 'old', 'both1'],
    ['only1', 'old', 'only1'],
    ['lone', 'modern', 'lone'],
    ['multi', 'modern', 'multi'],
  ])(
    'gives what was published under the tag %s to a client that is %s, byte for byte',
    async (tag, client, expected) => {
      const got = await get(`${edge.url}/v2/pulp/image/manifests/${tag}`, { headers: client === 'old' ? OLD : MODERN });
      expect(got.status).toBe(200);
      const document = documents.get(expected);
      expect(got.body.equals(document?.bytes ?? Buffer.alloc(0))).toBe(true);
      expect(got.headers['docker-content-digest']).toBe(document?.digest);
      expect(got.headers['content-type']).toBe(document?.mediaType);
    },
  );

  it('derives what Pulp has not: a schema 1 of a lone schema 2, and of the images of a list', async () => {
    for (const tag of ['lone', 'multi']) {
      const got = await get(`${edge.url}/v2/pulp/image/manifests/${tag}`, { headers: OLD });
      expect([got.status, got.headers['content-type']]).toEqual([200, TYPES.schema1]);
    }
    const arm = await get(`${edge.url}/v2/pulp/image/manifests/multi`, {
      headers: { 'user-agent': OLD['user-agent'].replace('amd64', 'arm64') },
    });
    expect(JSON.parse(arm.body.toString())).toMatchObject({ schemaVersion: 1, architecture: 'arm64' });
  });

  it('derives the schema 2 of a lone schema 1 for a modern client, which pulls it whole', async () => {
    const got = await get(`${edge.url}/v2/pulp/image/manifests/only1`, { headers: MODERN });
    expect([got.status, got.headers['content-type']]).toEqual([200, TYPES.schema2]);
    expect(await pull(edge.url, 'pulp/image', 'only1')).toBe(2);
  });

  it('is pulled whole, its blobs by way of crane’s redirects', async () => {
    expect(await pull(edge.url, 'pulp/image', 'both')).toBe(3);
    expect(await pull(edge.url, 'pulp/image', 'multi')).toBe(5);
  });

  it('sends clients to where crane sends them, if the rule says so', async () => {
    const { layers } = JSON.parse((documents.get('sent')?.bytes ?? '{}').toString()) as {
      layers: { digest: string }[];
    };
    const [layer] = layers;
    const got = await get(`${edge.url}/v2/sent/image/blobs/${layer?.digest ?? ''}`);
    expect(got.status).toBe(307);
    expect(got.headers['cache-control']).toBe('no-store');
    expect((await get(String(got.headers.location))).digest).toBe(layer?.digest);
  });

  it('is 404 where crane says so', async () => {
    expect((await get(`${edge.url}/v2/pulp/other/manifests/latest`, { headers: MODERN })).status).toBe(404);
    expect((await get(`${edge.url}/v2/pulp/image/manifests/none`, { headers: MODERN })).status).toBe(404);
  });
});

describe('Pulp 3 as upstream', () => {
  let edge: OriginEdge;
  let pulp: Pulp3;
  let old: Document;
  let index: Document;

  beforeAll(async () => {
    const content = emptyContent();
    for (const tag of ['a', 'b', 'c', 'd'])
      addImage(content, `pulp3/image:${tag}`, { layers: [1_000, 20_000], seed: tag });
    const image = addImage(content, 'pulp3/image:oci', { layers: [500], type: 'oci' });
    const arm = addImage(content, 'pulp3/image:arm', { layers: [600], type: 'oci' });
    old = addSchema1(content, content.blobs.get(image.config) ?? Buffer.alloc(0), image.layers, 'pulp3/image', 'old');
    content.tags.set('pulp3/image:old', [old]);
    index = listOf(
      content,
      [
        { manifest: image.manifest, architecture: 'amd64' },
        { manifest: arm.manifest, architecture: 'arm64' },
      ],
      TYPES.index,
    );
    content.tags.set('pulp3/image:index', [index]);
    pulp = await startPulp3(content, USER);
    closing.push(() => pulp.close());
    edge = await startOriginEdge([{ name: 'pulp3', pattern: 'pulp3/*', upstream: pulp.registry.url }], {
      credentials: { pulp3: USER },
    });
    closing.push(() => edge.close());
  });

  it('is pulled by clients of all ages, although it converts nothing', async () => {
    expect(await pull(edge.url, 'pulp3/image', 'a')).toBe(3);
    expect(await pull(edge.url, 'pulp3/image', 'index')).toBe(4);
    for (const tag of ['a', 'oci', 'index']) {
      const got = await get(`${edge.url}/v2/pulp3/image/manifests/${tag}`, { headers: OLD });
      expect([got.status, got.headers['content-type']]).toEqual([200, TYPES.schema1]);
      const list = await get(`${edge.url}/v2/pulp3/image/manifests/${tag}`, { headers: { accept: TYPES.schema2 } });
      expect([list.status, list.headers['content-type']]).toEqual([200, TYPES.schema2]);
    }
    const list = await get(`${edge.url}/v2/pulp3/image/manifests/index`, {
      headers: { accept: `${TYPES.list}, ${TYPES.schema2}` },
    });
    expect(list.headers['content-type']).toBe(TYPES.list);
    expect(await pull(edge.url, 'pulp3/image', String(list.headers['docker-content-digest']))).toBe(4);
  });

  it('gives its schema 1, by tag and by digest, as it is', async () => {
    for (const reference of ['old', old.digest]) {
      const got = await get(`${edge.url}/v2/pulp3/image/manifests/${reference}`, { headers: OLD });
      expect([got.status, got.body.equals(old.bytes), got.headers['content-type']]).toEqual([200, true, TYPES.schema1]);
    }
  });

  it('is asked with a token for the repository, never at /v2/ and never at its content app', () => {
    expect(pulp.registry.seen.some(({ path }) => path === '/v2/')).toBe(false);
    expect(pulp.registry.seen.some(({ path }) => path.startsWith('/token/'))).toBe(true);
    expect(pulp.content.seen.length).toBeGreaterThan(0);
    expect(pulp.content.seen.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
  });

  it('lists all tags, whose pages end with a link', async () => {
    const got = await get(`${edge.url}/v2/pulp3/image/tags/list`);
    expect((JSON.parse(got.body.toString()) as { tags: string[] }).tags).toEqual([
      'a',
      'arm',
      'b',
      'c',
      'd',
      'index',
      'oci',
      'old',
    ]);
  });
});

describe('a cold image that 200 clients pull at once', () => {
  let edge: OriginEdge;
  let upstream: Upstream;

  beforeAll(async () => {
    upstream = await startUpstream(emptyContent());
    closing.push(() => upstream.close());
    edge = await startOriginEdge([{ name: 'cold', pattern: 'cold/*', upstream: upstream.url }]);
    closing.push(() => edge.close());
  });

  it('is fetched from the upstream once: every manifest and every blob', async () => {
    const { manifest, layers, config } = addImage(upstream.content, 'cold/image:latest', {
      layers: [600_000, 300_000],
    });
    const all = async (path: string, digest: string): Promise<void> => {
      const got = await Promise.all(
        Array.from({ length: 200 }, () => get(edge.url + path, { headers: MODERN, keep: false })),
      );
      expect(new Set(got.map((one) => `${String(one.status)} ${one.digest}`))).toEqual(new Set([`200 ${digest}`]));
    };
    await all('/v2/cold/image/manifests/latest', manifest.digest);
    await all(`/v2/cold/image/manifests/${manifest.digest}`, manifest.digest);
    for (const digest of [config, ...layers]) await all(`/v2/cold/image/blobs/${digest}`, digest);
    const asked = new Map<string, number>();
    for (const { method, path } of upstream.seen)
      asked.set(`${method} ${path}`, (asked.get(`${method} ${path}`) ?? 0) + 1);
    // The second is for schema 1: its HEAD answered 404, which only the body of a GET proves.
    expect([...asked].filter(([, times]) => times > 1)).toEqual([['GET /v2/cold/image/manifests/latest', 2]]);
    expect(asked.size).toBe(1 + 1 + 1 + layers.length);
  });
});
