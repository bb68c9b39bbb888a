/**
 * Sources that real programs made: docker-registry, skopeo, buildah, podman's kin and a Docker engine; and what a
 * publisher says where they are spoiled.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import { newKey } from '../../src/publisher/publish/key-file.ts';
import { createPublisher, type Publisher } from '../../src/publisher/publish/publish.ts';
import type { PublishRequest, PublishResult } from '../../src/publisher/publish/request.ts';
import { openSource } from '../../src/publisher/sources/open.ts';
import type { SourceOptions } from '../../src/publisher/sources/source.ts';
import type { Digest } from '../../src/registry/digest.ts';
import { blobKey, manifestKey, tagKey } from '../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../src/registry/realms.ts';
import { Bucket, nameOf, tagOf } from '../publisher/gc-bucket.ts';
import { type FaultProxy, startFaultProxy } from '../faults/proxy.ts';
import { BUSYBOX_PROGRAMS, makeBusybox } from './busybox.ts';
import { startDockerDaemon } from './docker-daemon.ts';
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { gantry, missingPrograms, must, titleWith } from './programs.ts';

const missing = missingPrograms(...BUSYBOX_PROGRAMS, 'docker-registry');
const noBuildah = [...missing, ...missingPrograms('buildah')];
const noHtpasswd = [...missing, ...missingPrograms('htpasswd')];
const noDocker = [...missing, ...missingPrograms('dockerd')];

let folder: string;
let layout: string;
let registry: DockerRegistry;
let proxy: FaultProxy;
let bucket: Bucket;
let publisher: Publisher;
let count = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-sources-'));
  bucket = new Bucket();
  publisher = await createPublisher({ store: bucket, realms: [], signer: createSigner(newKey()) });
  if (missing.length > 0) return;
  layout = await makeBusybox(folder);
  registry = await startDockerRegistry(join(folder, 'registry'));
  proxy = await startFaultProxy(`http://${registry.host}`);
  await must('skopeo', [
    'copy',
    '--dest-tls-verify=false',
    '--format',
    'v2s2',
    `oci:${layout}:latest`,
    `docker://${registry.host}/test/bb:1`,
  ]);
  await must('skopeo', ['copy', `oci:${layout}:latest`, `oci-archive:${join(folder, 'oci.tar')}:latest`]);
  await must('skopeo', ['copy', `oci:${layout}:latest`, `docker-archive:${join(folder, 'docker.tar')}:test/bb:1`]);
});

afterAll(async () => {
  await proxy.close();
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

async function publish(
  source: string,
  options: Partial<SourceOptions> = {},
  request: Partial<PublishRequest> = {},
): Promise<PublishResult> {
  const name = request.name ?? nameOf(`test/${String((count += 1))}`);
  const opened = await openSource(source, { env: { HOME: folder }, ...options });
  try {
    return await publisher.publish(opened, { name, tag: tagOf('t'), ...request });
  } finally {
    await opened.close();
  }
}

const formsOf = ({ forms }: PublishResult) =>
  forms.map(
    ({ form, source, platform }) =>
      `${form}${platform === undefined ? '' : `/${platform.architecture}`} ${source.kind}`,
  );

/** What must never be there after a failure: anything of the repository. */
async function expectNothingOf(name: string, failing: Promise<unknown>, message: RegExp): Promise<void> {
  await expect(failing).rejects.toThrow(message);
  expect([...bucket.objects.keys()].filter((key) => key.startsWith(`repositories/${name}/`))).toEqual([]);
}

describe('another registry', () => {
  test.skipIf(missing.length > 0)(titleWith('gives a schema 2, of which the rest is derived', missing), async () => {
    const result = await publish(`docker://${registry.host}/test/bb:1`);
    expect(formsOf(result)).toEqual(['docker-schema2 published', 'oci-manifest derived', 'docker-schema1 derived']);
    const [root] = result.forms;
    const bytes = bucket.objects.get(manifestKey(result.name, root?.digest ?? (undefined as never)))?.bytes;
    expect(
      `sha256:${createHash('sha256')
        .update(bytes ?? '')
        .digest('hex')}`,
    ).toBe(root?.digest);
  });

  test.skipIf(missing.length > 0)(titleWith('gives an image by digest', missing), async () => {
    const { forms } = await publish(`docker://${registry.host}/test/bb:1`);
    const result = await publish(`docker://${registry.host}/test/bb@${forms[0]?.digest ?? ''}`);
    expect(result.forms[0]?.digest).toBe(forms[0]?.digest);
  });

  test.skipIf(noBuildah.length > 0)(
    titleWith('gives a list with all its platforms, or those that are asked for', noBuildah),
    async () => {
      const storage = ['--root', join(folder, 'b'), '--runroot', join(folder, 'br'), '--storage-driver', 'vfs'];
      const list = `l${String(process.pid)}`;
      await must('buildah', [...storage, 'manifest', 'create', list]);
      for (const arch of ['amd64', 'arm64']) {
        await mkdir(join(folder, arch));
        const image = await makeBusybox(join(folder, arch), `for ${arch}`);
        await must('buildah', [
          ...storage,
          'manifest',
          'add',
          '--arch',
          arch,
          '--variant',
          '',
          list,
          `oci:${image}:latest`,
        ]);
      }
      await must('buildah', [
        ...storage,
        'manifest',
        'push',
        '--all',
        '--format',
        'v2s2',
        '--tls-verify=false',
        list,
        `docker://${registry.host}/test/list:1`,
      ]);
      const all = await publish(`docker://${registry.host}/test/list:1`);
      expect(formsOf(all)).toEqual([
        'docker-list published',
        'oci-index derived',
        'docker-schema2/amd64 published',
        'oci-manifest/amd64 derived',
        'docker-schema1/amd64 derived',
        'docker-schema1/arm64 derived',
      ]);
      const platforms = [{ os: 'linux', architecture: 'arm64' }];
      const one = await publish(`docker://${registry.host}/test/list:1`, { platforms }, { platforms });
      expect(formsOf(one)).toContain('docker-schema1/arm64 derived');
      expect(one.warnings.join()).toMatch(/left out: linux\/amd64/);
    },
  );

  test.skipIf(noHtpasswd.length > 0)(
    titleWith('lets in whoever logs in, and others not: each is told what to do', noHtpasswd),
    async () => {
      const passwords = join(folder, 'htpasswd');
      await writeFile(passwords, await must('htpasswd', ['-nbB', 'me', 'secret']));
      const closed = await startDockerRegistry(join(folder, 'closed'), { htpasswd: passwords });
      try {
        const image = `docker://${closed.host}/test/bb:1`;
        await must('skopeo', [
          'copy',
          '--dest-tls-verify=false',
          '--dest-creds',
          'me:secret',
          '--format',
          'v2s2',
          `oci:${layout}:latest`,
          image,
        ]);
        expect(formsOf(await publish(image, { creds: 'me:secret' }))).toContain('docker-schema2 published');

        await mkdir(join(folder, 'docker-config'));
        const auths = { [closed.host]: { auth: Buffer.from('me:secret').toString('base64') } };
        await writeFile(join(folder, 'docker-config', 'config.json'), JSON.stringify({ auths }));
        expect(
          formsOf(await publish(image, { env: { HOME: folder, DOCKER_CONFIG: join(folder, 'docker-config') } })),
        ).toContain('docker-schema2 published');

        await expectNothingOf('test/none', publish(image, {}, { name: nameOf('test/none') }), /answered 401/);
        await expect(publish(image)).rejects.toMatchObject({ hint: expect.stringMatching(/^Log in/) as string });
        await expect(publish(image, { creds: 'me:expired' })).rejects.toMatchObject({
          hint: expect.stringMatching(/wrong or expired/) as string,
        });
      } finally {
        await closed.close();
      }
    },
  );

  test.skipIf(missing.length > 0)(
    titleWith('is told apart from a name, a tag or a host that is not there', missing),
    async () => {
      await expectNothingOf(
        'test/none',
        publish(`docker://${registry.host}/test/bb:none`, {}, { name: nameOf('test/none') }),
        /has no test\/bb:none/,
      );
      await expectNothingOf(
        'test/none',
        publish(`docker://${registry.host}/test/none`, {}, { name: nameOf('test/none') }),
        /has no test\/none:latest/,
      );
      await expectNothingOf(
        'test/none',
        publish('docker://registry.invalid/a', {}, { name: nameOf('test/none') }),
        /does not exist/,
      );
    },
  );
});

describe('a registry that is in trouble', () => {
  const isBlob = (path: string): boolean => path.includes('/blobs/');
  const isManifest = (path: string): boolean => path.includes('/manifests/');
  let fresh = 0;

  /** An image whose layer no other test has put into the bucket. */
  async function freshImage(): Promise<string> {
    fresh += 1;
    const own = join(folder, `fresh-${String(fresh)}`);
    await mkdir(own);
    const image = await makeBusybox(own, `fresh ${String(fresh)}`);
    await must('skopeo', [
      'copy',
      '--dest-tls-verify=false',
      '--format',
      'v2s2',
      `oci:${image}:latest`,
      `docker://${registry.host}/test/fresh:${String(fresh)}`,
    ]);
    return `docker://${proxy.host}/test/fresh:${String(fresh)}`;
  }

  test.skipIf(missing.length > 0)(
    titleWith('is asked again after 500, after Retry-After, and where connections break', missing),
    async () => {
      const image = await freshImage();
      const times: number[] = [];
      let [manifests, blobs] = [0, 0];
      proxy.fault = ({ path }) => {
        if (isManifest(path)) {
          times.push(performance.now());
          manifests += 1;
          if (manifests === 1) return { kind: 'answer', status: 429, headers: { 'retry-after': '1' } };
          if (manifests === 2) return { kind: 'answer', status: 502 };
        }
        if (isBlob(path)) {
          blobs += 1;
          if (blobs % 2 === 1) return { kind: 'cut', after: 100 };
          if (blobs === 2) return { kind: 'drop', when: 'before' };
        }
        return undefined;
      };
      expect(formsOf(await publish(image))).toContain('docker-schema2 published');
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(1_000);
      // What was cut off is gone on with, not begun anew.
      expect(proxy.seen.some(({ headers }) => headers.range === 'bytes=100-')).toBe(true);
    },
  );

  test.skipIf(missing.length > 0).each<[string, FaultProxy['fault'], RegExp]>([
    [
      'sends another manifest than its digest',
      ({ path }) => (isManifest(path) ? { kind: 'corrupt' } : undefined),
      /JSON|digest/,
    ],
    [
      'sends another layer than its digest',
      ({ path }) => (isBlob(path) ? { kind: 'corrupt' } : undefined),
      /is damaged|digest/,
    ],
    [
      'is down for good',
      ({ path }) => (isManifest(path) ? { kind: 'answer', status: 503 } : undefined),
      /answered 503/,
    ],
    [
      'limits us for an hour',
      ({ path }) =>
        isManifest(path) ? { kind: 'answer', status: 429, headers: { 'retry-after': '3600' } } : undefined,
      /answered 429/,
    ],
    ['forbids it', ({ path }) => (isManifest(path) ? { kind: 'answer', status: 403 } : undefined), /answered 403/],
    [
      'lacks a layer',
      ({ path }) =>
        isBlob(path) ? { kind: 'answer', status: 404, body: '{"errors":[{"code":"BLOB_UNKNOWN"}]}' } : undefined,
      /lacks the (?:layer|config)/,
    ],
    [
      'answers with a web page',
      ({ path }) => (isManifest(path) ? { kind: 'answer', status: 200, body: '<html>' } : undefined),
      /did not send JSON/,
    ],
  ])(titleWith('leaves nothing behind if it %s', missing), async (_, fault, message) => {
    const image = await freshImage();
    proxy.fault = fault;
    const name = nameOf(`test/trouble${String(fresh)}`);
    await expectNothingOf(name, publish(image, {}, { name }), message);
  });
});

describe('archives', () => {
  test.skipIf(missing.length > 0)(
    titleWith('of skopeo’s OCI kind give the layout’s own manifest', missing),
    async () => {
      const plain = await publish(`oci:${layout}:latest`);
      expect((await publish(`oci-archive:${join(folder, 'oci.tar')}:latest`)).forms[0]?.digest).toBe(
        plain.forms[0]?.digest,
      );
      expect((await publish(`oci-archive:${join(folder, 'oci.tar')}`)).forms[0]?.digest).toBe(plain.forms[0]?.digest);
    },
  );

  test.skipIf(missing.length > 0)(
    titleWith('may be compressed: they are copied to disk first, and that is said', missing),
    async () => {
      await must('sh', ['-c', `gzip -c "$1" > "$1.gz"`, 'sh', join(folder, 'oci.tar')]);
      const told: string[] = [];
      const { forms } = await publish(`oci-archive:${join(folder, 'oci.tar.gz')}`, {
        onMessage: (message) => void told.push(message),
      });
      expect(forms[0]?.form).toBe('oci-manifest');
      expect(told.join()).toMatch(/compressed.*temporary file/);
    },
  );

  test.skipIf(missing.length > 0)(
    titleWith('come through standard input, too, and that they are copied is said', missing),
    async () => {
      const env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
      const input = await readFile(join(folder, 'docker.tar'));
      const { code, stdout, stderr } = await gantry(
        ['publish', 'docker-archive:-', 'test/stdin:1', '--state', join(folder, 'state'), '--json'],
        {
          env,
          input,
        },
      );
      expect(stderr + String(code)).toMatch(/standard input .*temporary file[^]*0$/);
      expect(stdout).toContain('"event":"result"');
      const cut = await gantry(['publish', 'docker-archive:-', 'test/stdin:2', '--state', join(folder, 'state')], {
        env,
        input: input.subarray(0, input.length >> 1),
      });
      expect(cut.code).toBe(1);
      expect(cut.stderr).toMatch(/is truncated/);
    },
  );

  test.skipIf(missing.length > 0)(
    titleWith('of skopeo’s Docker kind give a schema 2 of the layers as they are', missing),
    async () => {
      const result = await publish(`docker-archive:${join(folder, 'docker.tar')}:test/bb:1`);
      expect(formsOf(result)).toEqual(['docker-schema2 published', 'oci-manifest derived', 'docker-schema1 derived']);
      await expect(publish(`docker-archive:${join(folder, 'docker.tar')}:test/other`)).rejects.toMatchObject({
        hint: expect.stringContaining('test/bb:1') as string,
      });
    },
  );

  test.skipIf(noDocker.length > 0)(
    titleWith('of `docker save`, from the engine itself, from its archive, and with an OCI layout beside it', noDocker),
    async () => {
      const daemon = await startDockerDaemon(join(folder, 'docker'));
      const saved = join(folder, 'saved.tar');
      try {
        await daemon.docker('load', '-i', join(folder, 'docker.tar'));
        await daemon.docker('save', '-o', saved, 'test/bb:1');
        const env = { HOME: folder, DOCKER_HOST: `unix://${join(folder, 'docker', 'docker.sock')}` };
        const direct = await publish('docker-daemon:test/bb:1', { env });
        expect(formsOf(direct)).toEqual(['docker-schema2 published', 'oci-manifest derived', 'docker-schema1 derived']);
        const none = nameOf('test/no-such-image');
        const failing = publish('docker-daemon:test/none:1', { env }, { name: none });
        await expectNothingOf(
          none,
          failing,
          /cannot export test\/none:1: .*(?:No such image|reference does not exist)/,
        );
      } finally {
        await daemon.close();
      }
      const old = await publish(`docker-archive:${saved}`);
      expect(formsOf(old)).toEqual(['docker-schema2 published', 'oci-manifest derived', 'docker-schema1 derived']);

      // As Docker 25 and newer write it: an OCI layout, and a manifest.json whose paths lead into it.
      const modern = join(folder, 'modern');
      await must('cp', ['-r', layout, modern]);
      const index = JSON.parse(await readFile(join(modern, 'index.json'), 'utf8')) as {
        manifests: { digest: string }[];
      };
      const digest = index.manifests[0]?.digest ?? '';
      const { config, layers } = JSON.parse(
        await readFile(join(modern, 'blobs', 'sha256', digest.slice(7)), 'utf8'),
      ) as {
        config: { digest: string };
        layers: { digest: string }[];
      };
      const path = (item: { digest: string }): string => `blobs/sha256/${item.digest.slice(7)}`;
      await writeFile(
        join(modern, 'manifest.json'),
        JSON.stringify([{ Config: path(config), RepoTags: ['test/bb:1'], Layers: layers.map(path) }]),
      );
      await must('tar', ['-C', modern, '-cf', join(folder, 'modern.tar'), ...(await readdir(modern))]);
      const { forms } = await publish(`docker-archive:${join(folder, 'modern.tar')}:docker.io/test/bb:1`);
      expect(forms[0]).toMatchObject({ form: 'oci-manifest', digest, source: { kind: 'published' } });
    },
  );

  test.skipIf(missing.length > 0).each([
    ['oci-archive', 'oci.tar'],
    ['docker-archive', 'docker.tar'],
  ])(
    titleWith('that are cut off anywhere are refused, and nothing of them is published: %s', missing),
    async (transport, file) => {
      const cut = join(folder, `cut-${file}`);
      const { size } = await stat(join(folder, file));
      for (const share of [0.1, 0.5, 0.9]) {
        await copyFile(join(folder, file), cut);
        await truncate(cut, Math.floor(size * share));
        await expectNothingOf(
          'test/cut',
          publish(`${transport}:${cut}`, {}, { name: nameOf('test/cut') }),
          /is truncated|has no|lacks/,
        );
      }
    },
  );

  test.skipIf(missing.length > 0)(
    titleWith('that are none, or not there, are refused with what to do', missing),
    async () => {
      await writeFile(join(folder, 'text'), 'x'.repeat(4096));
      await expect(publish(`oci-archive:${join(folder, 'text')}`)).rejects.toThrow(/is not a tar archive/);
      await expect(publish(`oci-archive:${join(folder, 'absent.tar')}`)).rejects.toThrow(/there is no file/);
      await expect(publish(`oci-archive:${layout}`)).rejects.toMatchObject({
        hint: expect.stringContaining('oci:') as string,
      });
      await expect(publish(`oci-archive:${join(folder, 'docker.tar')}`)).rejects.toMatchObject({
        hint: expect.stringContaining('docker-archive:') as string,
      });
    },
  );
});

test.skipIf(missing.length > 0)(
  titleWith('zstd layers get gzip copies for the derived forms, and the published form keeps its own', missing),
  async () => {
    const zstd = join(folder, 'zstd');
    await must('skopeo', [
      'copy',
      '--dest-compress-format',
      'zstd',
      '--format',
      'oci',
      `docker-archive:${join(folder, 'docker.tar')}`,
      `oci:${zstd}:latest`,
    ]);
    const without = await publish(`oci:${zstd}:latest`);
    expect(formsOf(without)).toEqual(['oci-manifest published']);
    const result = await publish(`oci:${zstd}:latest`, {}, { recompress: 'zstd' });
    expect(formsOf(result)).toEqual(['oci-manifest published', 'docker-schema2 derived', 'docker-schema1 derived']);
    const bytes = bucket.objects.get(manifestKey(result.name, result.forms[1]?.digest ?? (undefined as never)))?.bytes;
    const schema2 = JSON.parse(Buffer.from(bytes ?? '').toString()) as { layers: { digest: Digest; size: number }[] };
    for (const { digest, size } of schema2.layers) {
      const blob = bucket.objects.get(blobKey(PUBLIC_REALM, digest))?.bytes;
      expect(blob?.length).toBe(size);
      expect(
        Buffer.from(blob ?? '')
          .subarray(0, 2)
          .toString('hex'),
      ).toBe('1f8b');
    }
  },
);

test.skipIf(missing.length > 0)(
  titleWith('a schema 1 that stands alone gets a schema 2 from its unpacked layers', missing),
  async () => {
    const alone = join(folder, 'v2s1');
    const there = `docker://${registry.host}/test/bb:as-schema1`;
    const tls = ['--src-tls-verify=false', '--dest-tls-verify=false'];
    // Straight into the folder, skopeo would write an empty name.
    await must('skopeo', ['copy', '--format', 'v2s1', ...tls, `docker://${registry.host}/test/bb:1`, there]);
    await must('skopeo', ['copy', '--src-tls-verify=false', there, `dir:${alone}`]);
    const result = await publish(`dir:${alone}`);
    expect(formsOf(result).sort()).toEqual([
      'docker-schema1 published',
      'docker-schema2 derived',
      'oci-manifest derived',
    ]);
    expect(bucket.objects.has(tagKey(result.name, result.tag))).toBe(true);
  },
);

describe('an engine that does not answer', () => {
  test('is named, with what to do', async () => {
    const env = { HOME: folder, DOCKER_HOST: `unix://${join(folder, 'no.sock')}` };
    await expect(publish('docker-daemon:a/b:1', { env })).rejects.toMatchObject({
      message: `no Docker engine answers at ${join(folder, 'no.sock')}`,
    });
    await expect(publish('docker-daemon:a/b:1', { env: { DOCKER_HOST: 'ssh://host' } })).rejects.toMatchObject({
      hint: 'Pipe the image instead: docker save NAME | gantry publish docker-archive:- NAME:TAG',
    });
  });
});

describe('the containers storage', () => {
  const none = [...missing, ...missingPrograms('podman')];
  test.skipIf(none.length > 0)(
    titleWith('gives an image that podman has, and says where it has none', none),
    async () => {
      const storage = join(folder, 'storage.conf');
      await writeFile(
        storage,
        `[storage]\ndriver = "vfs"\ngraphroot = "${join(folder, 'graph')}"\nrunroot = "${join(folder, 'run')}"\n`,
      );
      const env = { ...process.env, HOME: folder, CONTAINERS_STORAGE_CONF: storage };
      await must('podman', ['load', '-q', '-i', join(folder, 'docker.tar')], { env });
      for (const source of [
        'containers-storage:docker.io/test/bb:1',
        `containers-storage:[vfs@${join(folder, 'graph')}+${join(folder, 'run')}]docker.io/test/bb:1`,
      ]) {
        const result = await publish(source, { env });
        expect(formsOf(result)).toEqual(['docker-schema2 published', 'oci-manifest derived', 'docker-schema1 derived']);
      }
      await expect(publish('containers-storage:none:1', { env })).rejects.toThrow(/podman cannot export none:1/);
      // The copies are removed.
      expect((await readdir(tmpdir())).filter((name) => name.startsWith('gantry-storage-'))).toEqual([]);
    },
  );

  test('names the programs that it needs', async () => {
    await expect(publish('containers-storage:a:1', { env: { PATH: '/none' } })).rejects.toThrow(
      /neither podman nor skopeo is installed/,
    );
  });
});

describe('an archive on a web server', () => {
  test.skipIf(missing.length > 0)(titleWith('is downloaded, of either kind', missing), async () => {
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.headers.authorization);
      const file = join(folder, request.url?.slice(1) ?? '');
      void readFile(file).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    try {
      const saved = await publish(`${base}/docker.tar#test/bb:1`);
      expect(formsOf(saved)).toEqual(['docker-schema2 published', 'oci-manifest derived', 'docker-schema1 derived']);
      expect(formsOf(await publish(`${base}/oci.tar`, { creds: 'me:secret' }))[0]).toBe('oci-manifest published');
      expect(asked.at(-1)).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`);
      await expect(publish(`${base}/none.tar`)).rejects.toThrow(/\/none\.tar answered 404/);
    } finally {
      server.close();
    }
    await expect(publish(`${base}/docker.tar`)).rejects.toThrow(/cannot be downloaded/);
  });
});
