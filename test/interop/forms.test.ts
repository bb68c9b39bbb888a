/**
 * Forms that were derived or joined, in the hands of real programs: an image published in one form is pulled, whole, by
 * clients that know only another.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { payloadOf } from '../../src/manifest/signing/jws.ts';
import { limitsOf } from '../../src/manifest/clients/limits.ts';
import { MEDIA_TYPE_OF_FORM } from '../../src/registry/media-type.ts';
import { type DockerDaemon, startDockerDaemon } from './docker-daemon.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { type GantryServer, startGantry } from './gantry-server.ts';
import { type ImageKind, type PublishedImage, publishForms, publishImage, type Workshop } from './matrix/images.ts';
import { type Blobs, digestOf, greetingLayer, makeImage, programLayer, writeDir } from './matrix/layout.ts';
import { type Answer, exchange, pullAsOldEngine } from './matrix/old-engine.ts';
import { hashOfTree, type Tree, treeOfLayers, treeOfTar } from './matrix/tree.ts';
import { missingPrograms, must, titleWith } from './programs.ts';

const LIST = MEDIA_TYPE_OF_FORM['docker-list'];
const SCHEMA2 = MEDIA_TYPE_OF_FORM['docker-schema2'];
const SCHEMA1 = MEDIA_TYPE_OF_FORM['docker-schema1'];

let folder: string;
let server: GantryServer;
let workshop: Workshop;
const images = new Map<ImageKind, PublishedImage>();

const noBusybox = missingPrograms('busybox');
const noSkopeo = missingPrograms('skopeo', 'docker-registry', 'busybox');
const noDocker = missingPrograms('dockerd', 'skopeo', 'docker-registry', 'busybox');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-forms-'));
  const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  server = await startGantry(join(folder, 'state'), { env });
  workshop = { folder: join(folder, 'sources'), state: server.state, env };
  await mkdir(workshop.folder);
  const kinds: ImageKind[] = [
    ...(noBusybox.length > 0 ? [] : (['index', 'zstd'] as const)),
    ...(noSkopeo.length > 0 ? [] : (['schema1'] as const)),
  ];
  for (const kind of kinds) images.set(kind, await publishImage(workshop, kind));
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function imageOf(kind: ImageKind): PublishedImage {
  const image = images.get(kind);
  if (image === undefined) throw new Error(`${kind} was not published`);
  return image;
}

/** A GET that says no more than Docker 1.10 did. */
function get(path: string, accept?: string, userAgent = 'docker/1.10.3'): Promise<Answer> {
  return exchange(server.host, 'GET', path, {
    'User-Agent': userAgent,
    ...(accept !== undefined && { Accept: accept }),
  });
}

interface Manifest {
  readonly config: { readonly digest: string; readonly mediaType: string };
  readonly layers: readonly { readonly digest: string; readonly mediaType: string; readonly size: number }[];
}

/** Goes from a schema 2 to the filesystem, each step verified by its digest, as a client that unpacks only gzip. */
async function unpackSchema2(name: string, bytes: Buffer): Promise<Tree> {
  const { config, layers } = JSON.parse(bytes.toString()) as Manifest;
  const blob = async (digest: string): Promise<Buffer> => {
    const { status, body } = await get(`/v2/${name}/blobs/${digest}`);
    expect([status, digestOf(body)]).toEqual([200, digest]);
    return body;
  };
  expect(config.mediaType).toBe('application/vnd.docker.container.image.v1+json');
  const { rootfs } = JSON.parse((await blob(config.digest)).toString()) as { rootfs: { diff_ids: string[] } };
  const tars: Buffer[] = [];
  for (const { digest, mediaType, size } of layers) {
    expect(mediaType).toBe('application/vnd.docker.image.rootfs.diff.tar.gzip');
    const packed = await blob(digest);
    expect(packed.length).toBe(size);
    tars.push(gunzipSync(packed));
  }
  expect(tars.map(digestOf)).toEqual(rootfs.diff_ids);
  return treeOfLayers(tars.map((tar) => Readable.from([tar])));
}

/** What a container of the image has in its filesystem. */
async function exported(daemon: DockerDaemon, reference: string): Promise<Tree> {
  const container = (await daemon.docker('create', reference)).trim();
  const file = join(folder, 'export.tar');
  await daemon.docker('export', '--output', file, container);
  return treeOfTar(Readable.from([await readFile(file)]));
}

describe('an OCI index with attestations, by tag', () => {
  it.skipIf(noBusybox.length > 0)(
    titleWith('reaches a client that reads only Docker types as a list, and through it whole', noBusybox),
    async () => {
      const { name, tree, forms } = imageOf('index');
      const list = await get(`/v2/${name}/manifests/1.0`, `${SCHEMA2}, ${LIST}`);
      expect(list.headers.get('content-type')).toBe(LIST);
      expect(digestOf(list.body)).toBe(forms.find(({ form }) => form === 'docker-list')?.digest);
      const { manifests } = JSON.parse(list.body.toString()) as {
        manifests: { digest: string; mediaType: string; platform: { os: string; architecture: string } }[];
      };
      // The attestations are no images.
      expect(manifests.map(({ mediaType, platform }) => [mediaType, platform.os, platform.architecture])).toEqual([
        [SCHEMA2, 'linux', 'amd64'],
        [SCHEMA2, 'linux', 'arm64'],
      ]);
      for (const { digest } of manifests) {
        const child = await get(`/v2/${name}/manifests/${digest}`, `${SCHEMA2}, ${LIST}`);
        expect([child.headers.get('content-type'), digestOf(child.body)]).toEqual([SCHEMA2, digest]);
        const unpacked = await unpackSchema2(name, child.body);
        if (digest === manifests[0]?.digest) expect(hashOfTree(unpacked)).toBe(hashOfTree(tree));
        else expect(unpacked.get('data/greeting')).toBeDefined();
      }
    },
  );

  it.skipIf(noBusybox.length > 0)(
    titleWith('reaches a client that reads schema 2 but no lists as the image for linux/amd64', noBusybox),
    async () => {
      const { name, tree } = imageOf('index');
      const { headers, body } = await get(`/v2/${name}/manifests/1.0`, SCHEMA2);
      expect([headers.get('content-type'), headers.get('docker-content-digest')]).toEqual([SCHEMA2, digestOf(body)]);
      expect(hashOfTree(await unpackSchema2(name, body))).toBe(hashOfTree(tree));
    },
  );
});

describe('an image published as schema 1 alone', () => {
  it.skipIf(noSkopeo.length > 0)(
    titleWith('is copied by skopeo as schema 2, with the same layers', noSkopeo),
    async () => {
      const { name, layers, manifest, tree } = imageOf('schema1');
      const out = join(folder, 'as-schema2');
      await must('skopeo', ['copy', '--src-tls-verify=false', `docker://${server.host}/${name}:1.0`, `dir:${out}`]);
      const bytes = await readFile(join(out, 'manifest.json'));
      expect(digestOf(bytes)).toBe(manifest.digest);
      expect((JSON.parse(bytes.toString()) as Manifest).layers.map(({ digest }) => digest)).toEqual(layers);
      expect(hashOfTree(await unpackSchema2(name, bytes))).toBe(hashOfTree(tree));
    },
  );

  it.skipIf(noDocker.length > 0)(
    titleWith(
      'is pulled and run by a Docker engine, with the filesystem it had; so is, by tag and by digest, an image whose zstd layers it cannot unpack',
      noDocker,
    ),
    async () => {
      const daemon = await startDockerDaemon(join(folder, 'docker'));
      try {
        const { name, tree, greeting, manifest } = imageOf('schema1');
        const reference = `${server.host}/${name}:1.0`;
        expect(await daemon.docker('pull', reference)).toContain(`Digest: ${manifest.digest}`);
        expect(await daemon.docker('run', '--rm', '--network', 'none', reference)).toBe(`${greeting}\n`);
        expect(hashOfTree(await exported(daemon, reference))).toBe(hashOfTree(tree));

        const zstd = imageOf('zstd');
        const derived = zstd.forms.find(({ form }) => form === 'docker-schema2')?.digest ?? 'none';
        const version = (await daemon.docker('version', '--format', '{{.Server.Version}}')).trim();
        const byTag = limitsOf(`docker/${version}`).includes('zstd') ? derived : zstd.root.digest;
        for (const [where, digest] of [
          [`${zstd.name}:1.0`, byTag],
          [`${zstd.name}@${derived}`, derived],
        ] as const) {
          expect(await daemon.docker('pull', `${server.host}/${where}`)).toContain(`Digest: ${digest}`);
          expect(await daemon.docker('run', '--rm', '--network', 'none', `${server.host}/${where}`)).toBe(
            `${zstd.greeting}\n`,
          );
          expect(hashOfTree(await exported(daemon, `${server.host}/${where}`))).toBe(hashOfTree(zstd.tree));
        }
      } finally {
        await daemon.close();
      }
    },
  );
});

describe('an image with zstd layers, published with --recompress', () => {
  it.skipIf(noBusybox.length > 0)(
    titleWith('is pulled whole by those who cannot unpack zstd; others get what was published', noBusybox),
    async () => {
      const { name, tree, root } = imageOf('zstd');
      const old = await pullAsOldEngine({ version: '1.9.1', host: server.host, name, reference: '1.0' });
      expect(hashOfTree(old.tree)).toBe(hashOfTree(tree));
      const { body } = await get(`/v2/${name}/manifests/1.0`, `${SCHEMA2}, ${LIST}`);
      expect(hashOfTree(await unpackSchema2(name, body))).toBe(hashOfTree(tree));
      const both = `${SCHEMA2}, ${MEDIA_TYPE_OF_FORM['oci-manifest']}`;
      expect((await get(`/v2/${name}/manifests/1.0`, both)).body.equals(body)).toBe(true);
      const published = await get(`/v2/${name}/manifests/1.0`, both, 'docker/28.5.2');
      expect(published.body.equals(root.bytes)).toBe(true);
    },
  );
});

describe('schema 1 and schema 2 of one image, published one after the other', () => {
  let signed: Buffer;
  let plain: Buffer;
  let sources: { readonly v2s1: string; readonly v2s2: string; readonly other: string };

  beforeAll(async () => {
    if (noSkopeo.length > 0) return;
    const blobs: Blobs = new Map();
    const image = await makeImage(blobs, 'docker', [await programLayer(), greetingLayer('joined')]);
    const made = await writeDir(join(folder, 'joined'), blobs, image.manifest);
    const different: Blobs = new Map();
    const other = await makeImage(different, 'docker', [await programLayer(), greetingLayer('of another image')]);
    const peer = await startDockerRegistry(join(folder, 'peer'));
    try {
      // An old registry, from which somebody takes both forms.
      const there = `docker://${peer.host}/joined/image:1`;
      await must('skopeo', ['copy', '--format', 'v2s2', '--dest-tls-verify=false', made, there]);
      await must('skopeo', [
        'copy',
        '--format',
        'v2s2',
        '--src-tls-verify=false',
        there,
        `dir:${join(folder, 'v2s2')}`,
      ]);
      await must('skopeo', ['copy', '--format', 'v2s1', '--dest-tls-verify=false', made, there]);
      await must('skopeo', ['copy', '--src-tls-verify=false', there, `dir:${join(folder, 'v2s1')}`]);
    } finally {
      await peer.close();
    }
    sources = {
      v2s1: `dir:${join(folder, 'v2s1')}`,
      v2s2: `dir:${join(folder, 'v2s2')}`,
      other: await writeDir(join(folder, 'other'), different, other.manifest),
    };
    signed = await readFile(join(folder, 'v2s1', 'manifest.json'));
    plain = await readFile(join(folder, 'v2s2', 'manifest.json'));
  });

  it.skipIf(noSkopeo.length > 0).each([
    ['joined/one', ['v2s1', 'v2s2']],
    ['joined/two', ['v2s2', 'v2s1']],
  ] as const)(
    titleWith('both stand, each with its own bytes, in either order: %s %j', noSkopeo),
    async (name, order) => {
      for (const which of order) await publishForms(workshop, sources[which], `${name}:1`);
      const old = await get(`/v2/${name}/manifests/1`);
      expect([old.headers.get('content-type'), old.headers.get('docker-content-digest')]).toEqual([
        SCHEMA1,
        digestOf(payloadOf(signed)),
      ]);
      expect(old.body.equals(signed)).toBe(true);
      const newer = await get(`/v2/${name}/manifests/1`, `${SCHEMA2}, ${SCHEMA1}`);
      expect(newer.body.equals(plain)).toBe(true);
      for (const [digest, bytes] of [
        [digestOf(payloadOf(signed)), signed],
        [digestOf(plain), plain],
      ] as const) {
        expect((await get(`/v2/${name}/manifests/${digest}`, '*/*')).body.equals(bytes)).toBe(true);
      }
    },
  );

  it.skipIf(noSkopeo.length > 0)(
    titleWith('--replace starts the tag anew: the schema 1 is then derived from what came last', noSkopeo),
    async () => {
      await publishForms(workshop, sources.v2s1, 'joined/three:1');
      const forms = await publishForms(workshop, sources.v2s2, 'joined/three:1', ['--replace']);
      expect(forms.map(({ form, isPublished }) => [form, isPublished])).toEqual([
        ['docker-schema2', true],
        ['oci-manifest', false],
        ['docker-schema1', false],
      ]);
      const old = await get('/v2/joined/three/manifests/1');
      expect(old.body.equals(signed)).toBe(false);
      expect(old.headers.get('docker-content-digest')).toBe(forms[2]?.digest);
    },
  );

  it.skipIf(noSkopeo.length > 0)(
    titleWith('a tag never has forms of two images: another image takes it over', noSkopeo),
    async () => {
      await publishForms(workshop, sources.v2s1, 'joined/four:1');
      await publishForms(workshop, sources.other, 'joined/four:1');
      const old = await pullAsOldEngine({ version: '1.9.1', host: server.host, name: 'joined/four', reference: '1' });
      const { body } = await get('/v2/joined/four/manifests/1', SCHEMA2);
      expect(hashOfTree(old.tree)).toBe(hashOfTree(await unpackSchema2('joined/four', body)));
      expect(digestOf(old.payload)).not.toBe(digestOf(payloadOf(signed)));
    },
  );
});
