/** The clients of the matrix: how each pulls, and how what it pulled is held against what was published. */
import { mkdir, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MEDIA_TYPE_OF_FORM } from '../../../src/registry/media-type.ts';
import { isBefore } from '../../../src/manifest/clients/limits.ts';
import { payloadOf } from '../../../src/manifest/signing/jws.ts';
import type { Verify } from '../libtrust.ts';
import { end, until } from '../programs.ts';
import { expectEqual, first, parseVersion, unique } from './expect.ts';
import type { PublishedImage } from './images.ts';
import { digestOf } from './layout.ts';
import type { Machine } from './machine.ts';
import { REPLAYED } from './old-clients.ts';
import { expectSameTree, treeOfFolder, treeOfTar } from './tree.ts';

/** The ways to an image. */
export const WAYS = {
  tag: 'by tag',
  digest: 'by digest',
  all: 'all tags of the repository',
  resume: 'going on after a cut, by Range',
} as const satisfies Record<string, string>;

/** A key of {@link WAYS}. */
export type Way = keyof typeof WAYS;

/** A client that is ready to pull. */
export interface Client {
  readonly title: string;
  readonly version: string;
  /** What it sends, as far as it says what it cannot use. */
  readonly userAgent: string;
  /** How it is tried: a daemon, a program, or requests that imitate one. */
  readonly method: 'engine' | 'client' | 'replay';
  /** Each pulls an image and throws if anything about it is not as published. */
  readonly ways: Partial<Record<Way, (image: PublishedImage) => Promise<void>>>;
  /**
   * Why it cannot have an image that way, as things are; null if it can. Such a pull is not tried, and the page says
   * so.
   */
  excuse?(image: PublishedImage, way: Way): string | null;
  /** What is known to go wrong that way; null if nothing is. Such a pull is tried, and must end as is known. */
  knownFailure?(image: PublishedImage, way: Way): KnownFailure | null;
  close?(): Promise<void>;
}

/** A pull that cannot succeed: why, and what the error says then. */
export interface KnownFailure {
  readonly words: string;
  readonly says: RegExp;
}

/** What clients need to start. */
export interface Bench {
  /** `127.0.0.1:port` of the registry. */
  readonly host: string;
  /** A folder of the client's own, the same inside and outside of the machine. */
  readonly folder: string;
  readonly machine: Machine;
  readonly verify: Verify | undefined;
}

/** Makes a client ready; null where the machine lacks its program. Throws where it is there and does not start. */
export type Start = (bench: Bench) => Promise<Client | null>;

/** Every client, in the order of the table. */
export const CLIENTS: readonly Start[] = [
  ...REPLAYED,
  docker,
  podman,
  buildah,
  containerd,
  skopeo,
  umoci,
  crane,
  oras,
  curl,
];

async function docker({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('dockerd'))) return null;
  await mkdir(folder, { recursive: true });
  const socket = `unix://${join(folder, 'sock')}`;
  const log = await open(join(folder, 'log'), 'w');
  const daemon = machine.start(
    'dockerd',
    [
      ...[
        '--iptables=false',
        '--ip6tables=false',
        '--bridge=none',
        '--storage-driver=vfs',
        `--data-root=${join(folder, 'data')}`,
      ],
      ...[`--exec-root=${join(folder, 'exec')}`, `--pidfile=${join(folder, 'pid')}`, `--host=${socket}`],
    ],
    log.fd,
  );
  daemon.stdout?.resume();
  const command = (...args: readonly string[]): Promise<string> => machine.must('docker', ['--host', socket, ...args]);
  try {
    await until('dockerd', async () => {
      if (daemon.exitCode !== null) throw new Error('dockerd ended');
      await command('version');
      return true;
    });
  } catch (cause) {
    await end(daemon);
    throw new Error(`dockerd did not start: ${(await readFile(join(folder, 'log'), 'utf8')).slice(-500)}`, { cause });
  }
  const version = (await command('version', '--format', '{{.Server.Version}}')).trim();
  const judge = async (image: PublishedImage, reference: string, digest: string): Promise<void> => {
    const printed = await command('pull', reference);
    expectEqual('the printed digest', /^Digest: (\S+)$/m.exec(printed)?.[1], digest);
    const id = (await command('image', 'inspect', '--format', '{{.Id}}', reference)).trim();
    if (image.config !== undefined) expectEqual('the image ID', id, image.config);
    const container = (await command('create', reference)).trim();
    const exported = machine.start('docker', ['--host', socket, 'export', container]);
    if (exported.stdout === null) throw new Error('docker export has no output');
    expectSameTree(await treeOfTar(exported.stdout), image.tree);
    await command('rm', container);
    await command('rmi', '--force', id);
  };
  return {
    title: 'docker',
    userAgent: `docker/${version}`,
    method: 'engine',
    version,
    ways: {
      tag: (image) => judge(image, `${host}/${image.name}:${first(image.tags)}`, readableRoot(image)),
      digest: (image) => judge(image, `${host}/${image.name}@${readableRoot(image)}`, readableRoot(image)),
      all: async ({ name, tags, config }) => {
        await command('pull', '--all-tags', `${host}/${name}`);
        const listed = (await command('image', 'ls', '--no-trunc', '--format', '{{.Tag}} {{.ID}}', `${host}/${name}`))
          .trim()
          .split('\n');
        expectEqual('the tags', listed.sort(), tags.map((tag) => `${tag} ${String(config)}`).sort());
        await command('rmi', '--force', String(config));
      },
    },
    close: async () => {
      await end(daemon);
      await log.close();
    },
  };
}

async function podman({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('podman'))) return null;
  const command = await storageCommand(machine, 'podman', folder, host);
  const version = await versionOf(machine, 'podman');
  const judge = async (image: PublishedImage, reference: string): Promise<void> => {
    const id = (await command('pull', '--quiet', reference)).trim();
    if (image.config !== undefined) expectEqual('the image ID', `sha256:${id}`, image.config);
    const seen = (await command('image', 'inspect', '--format', '{{range .RepoDigests}}{{.}} {{end}}', id))
      .trim()
      .split(' ');
    for (const digest of unique([readableRoot(image), image.manifest.digest])) {
      if (!seen.includes(`${host}/${image.name}@${digest}`))
        throw new Error(`the digests are ${seen.join(', ')}, without ${digest}`);
    }
    const mounted = (await command('image', 'mount', id)).trim();
    expectSameTree(await treeOfFolder(machine.outside(mounted)), image.tree);
    await command('image', 'unmount', id);
    await command('rmi', '--force', id);
  };
  return {
    title: 'podman',
    method: 'client',
    userAgent: `containers/${isBefore(parseVersion(version), [5, 7]) ? '5.37' : '5.38'}`,
    version,
    ways: {
      tag: (image) => judge(image, `${host}/${image.name}:${first(image.tags)}`),
      digest: (image) => judge(image, `${host}/${image.name}@${readableRoot(image)}`),
      all: async ({ name, tags, config }) => {
        await command('pull', '--quiet', '--all-tags', `${host}/${name}`);
        const listed = (await command('images', '--no-trunc', '--format', '{{.Tag}} {{.ID}}', `${host}/${name}`))
          .trim()
          .split('\n');
        expectEqual('the tags', listed.sort(), tags.map((tag) => `${tag} ${String(config)}`).sort());
        await command('rmi', '--force', String(config).slice('sha256:'.length));
      },
    },
  };
}

async function buildah({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('buildah'))) return null;
  const command = await storageCommand(machine, 'buildah', folder, host);
  const version = await versionOf(machine, 'buildah');
  const judge = async (image: PublishedImage, reference: string): Promise<void> => {
    const container = (await command('from', '--quiet', '--pull-always', reference)).trim();
    const told = JSON.parse(await command('inspect', container)) as { FromImageID: string; FromImageDigest: string };
    if (image.config !== undefined) expectEqual('the image ID', `sha256:${told.FromImageID}`, image.config);
    if (![readableRoot(image), image.manifest.digest].includes(told.FromImageDigest))
      throw new Error(`the digest is ${told.FromImageDigest}`);
    expectSameTree(await treeOfFolder(machine.outside((await command('mount', container)).trim())), image.tree);
    await command('rm', container);
    await command('rmi', '--force', told.FromImageID);
  };
  return {
    title: 'buildah',
    method: 'client',
    userAgent: `Buildah/${version}`,
    version,
    ways: {
      tag: (image) => judge(image, `${host}/${image.name}:${first(image.tags)}`),
      digest: (image) => judge(image, `${host}/${image.name}@${readableRoot(image)}`),
      all: async ({ name, tags, config }) => {
        await command('pull', '--quiet', '--all-tags', `${host}/${name}`);
        // All that there are: asked for by a name, some versions look for its tag `latest`.
        const lines = (await command('images', '--no-trunc', '--format', '{{.Name}} {{.Tag}} {{.ID}}')).split('\n');
        const words = lines.map((line) => line.replace('sha256:', '').trim().split(/\s+/));
        const listed = words
          .filter(([repository]) => repository === `${host}/${name}`)
          .map(([, tag, id]) => `${String(tag)} ${String(id)}`);
        expectEqual(
          'the tags',
          unique(listed).sort(),
          tags.map((tag) => `${tag} ${String(config).slice('sha256:'.length)}`).sort(),
        );
        await command('rmi', '--force', String(config).slice('sha256:'.length));
      },
    },
  };
}

async function containerd({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('containerd')) || !(await machine.has('ctr'))) return null;
  await mkdir(folder, { recursive: true });
  const socket = join(folder, 'sock');
  const version = (await versionOf(machine, 'containerd')).replace(/~.*/, '');
  const config = join(folder, 'config.toml');
  await writeFile(
    config,
    [
      'version = 2',
      `root = ${JSON.stringify(join(folder, 'root'))}`,
      `state = ${JSON.stringify(join(folder, 'state'))}`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
      `[grpc]\n  address = ${JSON.stringify(socket)}`,
      `[plugins."io.containerd.internal.v1.opt"]\n  path = ${JSON.stringify(join(folder, 'opt'))}`,
      '',
    ].join('\n'),
  );
  const log = await open(join(folder, 'log'), 'w');
  const daemon = machine.start('containerd', ['--config', config], log.fd);
  daemon.stdout?.resume();
  const command = (...args: readonly string[]): Promise<string> =>
    machine.must('ctr', ['--address', socket, '--namespace', 'matrix', ...args]);
  try {
    await until('containerd', async () => {
      if (daemon.exitCode !== null) throw new Error('containerd ended');
      await command('version');
      return true;
    });
  } catch (cause) {
    await end(daemon);
    throw new Error(`containerd did not start: ${(await readFile(join(folder, 'log'), 'utf8')).slice(-500)}`, {
      cause,
    });
  }
  const judge = async (image: PublishedImage, reference: string): Promise<void> => {
    await command('images', 'pull', '--plain-http', '--snapshotter', 'native', reference);
    const [line = ''] = (await command('images', 'ls', `name==${reference}`)).trim().split('\n').slice(1);
    expectEqual('the digest', line.split(/\s+/)[2], readableRoot(image));
    const content = (await command('content', 'ls', '--quiet')).trim().split('\n');
    const wanted = [
      readableRoot(image),
      image.manifest.digest,
      ...(image.config === undefined ? [] : [image.config]),
      ...image.layers,
    ];
    const lacking = wanted.filter((digest) => !content.includes(digest));
    if (lacking.length > 0) throw new Error(`the content store lacks ${lacking.join(', ')}`);
    const mounted = join(folder, 'mounted');
    await mkdir(mounted, { recursive: true });
    await command('images', 'mount', '--snapshotter', 'native', reference, mounted);
    try {
      expectSameTree(await treeOfFolder(machine.outside(mounted)), image.tree);
    } finally {
      await command('images', 'unmount', '--rm', mounted);
    }
    await command('images', 'rm', '--sync', reference);
  };
  return {
    title: 'containerd (ctr)',
    method: 'engine',
    userAgent: `containerd/${version}`,
    version,
    ways: {
      tag: (image) => judge(image, `${host}/${image.name}:${first(image.tags)}`),
      digest: (image) => judge(image, `${host}/${image.name}@${readableRoot(image)}`),
    },
    close: async () => {
      await end(daemon);
      await log.close();
    },
  };
}

async function skopeo({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('skopeo'))) return null;
  const command = (...args: readonly string[]): Promise<string> => machine.must('skopeo', args);
  const version = await versionOf(machine, 'skopeo');
  const copy = async (reference: string, ...options: readonly string[]): Promise<string> => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const out = join(folder, 'out');
    await command(
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      ...options,
      `docker://${host}/${reference}`,
      `dir:${out}`,
    );
    return out;
  };
  return {
    title: 'skopeo',
    method: 'client',
    userAgent: `skopeo/${version}`,
    version,
    ways: {
      tag: async (image) => {
        const reference = `${image.name}:${first(image.tags)}`;
        await expectDir(await copy(reference), image);
        if (isList(image)) await expectWholeList(await copy(reference, '--all'), image);
        // Without the tags: while an upstream is down, their list is unknown, and skopeo then tells nothing.
        const inspect = ['inspect', '--no-tags', '--tls-verify=false', `docker://${host}/${reference}`];
        const told = JSON.parse(await command(...inspect)) as {
          Digest: string;
          Layers: string[];
        };
        // It asks for schema 1 as well as for anything newer.
        expectEqual(
          'the digest',
          told.Digest,
          image.root.form === 'docker-schema1' ? image.manifest.digest : image.root.digest,
        );
        expectEqual('the layers', told.Layers, image.layers);
      },
      digest: async (image) => {
        for (const { digest, form } of image.forms) {
          // As bytes, not as text: their digest is what counts.
          const out = await copy(`${image.name}@${digest}`, '--all');
          const bytes = await readFile(join(out, 'manifest.json'));
          expectEqual(`the digest of ${form}`, digestOf(form === 'docker-schema1' ? payloadOf(bytes) : bytes), digest);
        }
        const out = await copy(`${image.name}@${image.root.digest}`, '--all');
        expectEqual('the manifest', digestOf(await readFile(join(out, 'manifest.json'))), digestOf(image.root.bytes));
      },
      all: async (image) => {
        const { Tags: tags } = JSON.parse(
          await command('list-tags', '--tls-verify=false', `docker://${host}/${image.name}`),
        ) as { Tags: string[] };
        expectEqual('the tags', tags, [...image.tags].sort());
        await rm(folder, { recursive: true, force: true });
        await mkdir(folder, { recursive: true });
        await command(
          'sync',
          '--src',
          'docker',
          '--dest',
          'dir',
          '--src-tls-verify=false',
          '--scoped',
          `${host}/${image.name}`,
          folder,
        );
        for (const tag of image.tags) await expectDir(join(folder, host, `${image.name}:${tag}`), image);
      },
    },
  };
}

async function umoci({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('umoci')) || !(await machine.has('skopeo'))) return null;
  return {
    title: 'skopeo and umoci unpack',
    method: 'client',
    userAgent: `skopeo/${await versionOf(machine, 'skopeo')}`,
    version: await versionOf(machine, 'umoci'),
    ways: {
      tag: async (image) => {
        await rm(folder, { recursive: true, force: true });
        await mkdir(folder, { recursive: true });
        const layout = join(folder, 'layout');
        const bundle = join(folder, 'bundle');
        await machine.must('skopeo', [
          'copy',
          '--quiet',
          '--src-tls-verify=false',
          `docker://${host}/${image.name}:${first(image.tags)}`,
          `oci:${layout}:it`,
        ]);
        await machine.must('umoci', ['unpack', '--image', `${layout}:it`, bundle]);
        expectSameTree(await treeOfFolder(join(bundle, 'rootfs')), image.tree);
        await rm(folder, { recursive: true, force: true });
      },
    },
    excuse: ({ hasZstd }) => (hasZstd ? 'umoci 0.4.7 does not unpack zstd' : null),
  };
}

async function crane({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('crane'))) return null;
  const pull = async (image: PublishedImage, reference: string): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await machine.must('crane', ['pull', '--insecure', '--format', 'oci', `${host}/${reference}`, join(folder, 'out')]);
    await expectLayout(join(folder, 'out'), image);
  };
  return {
    title: 'crane (go-containerregistry)',
    method: 'client',
    userAgent: 'go-containerregistry',
    version: await versionOf(machine, 'crane'),
    ways: {
      tag: async (image) => {
        await pull(image, `${image.name}:${first(image.tags)}`);
        const digest = (
          await machine.must('crane', ['digest', '--insecure', `${host}/${image.name}:${first(image.tags)}`])
        ).trim();
        expectEqual('the digest', digest, readableRoot(image));
      },
      digest: (image) => pull(image, `${image.name}@${readableRoot(image)}`),
      all: async ({ name, tags }) => {
        const listed = (await machine.must('crane', ['ls', '--insecure', `${host}/${name}`])).trim().split('\n');
        expectEqual('the tags', listed, [...tags].sort());
      },
    },
  };
}

async function oras({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('oras'))) return null;
  const copy = async (image: PublishedImage, reference: string): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await machine.must('oras', [
      'cp',
      '--from-plain-http',
      `${host}/${reference}`,
      '--to-oci-layout',
      `${join(folder, 'out')}:it`,
    ]);
    await expectLayout(join(folder, 'out'), image);
  };
  return {
    title: 'oras',
    method: 'client',
    userAgent: 'oras',
    version: /(\d+\.\d+\.\d+)/.exec(await machine.must('oras', ['version']))?.[1] ?? 'unknown',
    ways: {
      tag: (image) => copy(image, `${image.name}:${first(image.tags)}`),
      digest: (image) => copy(image, `${image.name}@${readableRoot(image)}`),
      all: async ({ name, tags }) => {
        const listed = (await machine.must('oras', ['repo', 'tags', '--plain-http', `${host}/${name}`]))
          .trim()
          .split('\n');
        expectEqual('the tags', listed, [...tags].sort());
      },
    },
  };
}

async function curl({ host, folder, machine }: Bench): Promise<Client | null> {
  if (!(await machine.has('curl'))) return null;
  await mkdir(folder, { recursive: true });
  const out = join(folder, 'out');
  const get = async (path: string, ...args: readonly string[]): Promise<Buffer> => {
    await machine.must('curl', ['-sSf', '-o', out, ...args, `http://${host}${path}`]);
    return readFile(out);
  };
  const blobsOf = ({ blobs, layers, config }: PublishedImage): readonly [string, Uint8Array][] =>
    [...blobs].filter(([digest]) => layers.includes(digest) || digest === config);
  return {
    title: 'curl',
    method: 'client',
    userAgent: 'curl',
    version: await versionOf(machine, 'curl'),
    ways: {
      tag: async (image) => {
        const path = `/v2/${image.name}/manifests/${first(image.tags)}`;
        expectEqual('the manifest for */*', digestOf(await get(path)), digestOf(image.root.bytes));
        const forThis = image.forms.filter(({ platform }) => platform === undefined || platform === 'linux/amd64');
        // Of two schema 2, the published one comes first.
        for (const { form, digest } of new Map(forThis.toReversed().map((one) => [one.form, one])).values()) {
          const bytes = await get(path, '-H', `Accept: ${MEDIA_TYPE_OF_FORM[form]}`);
          expectEqual(`the digest of ${form}`, digestOf(form === 'docker-schema1' ? payloadOf(bytes) : bytes), digest);
        }
      },
      digest: async (image) => {
        for (const { form, digest } of image.forms) {
          const bytes = await get(`/v2/${image.name}/manifests/${digest}`);
          expectEqual(`the digest of ${form}`, digestOf(form === 'docker-schema1' ? payloadOf(bytes) : bytes), digest);
        }
        for (const [digest] of blobsOf(image))
          expectEqual('a blob', digestOf(await get(`/v2/${image.name}/blobs/${digest}`)), digest);
      },
      all: async ({ name, tags }) => {
        expectEqual(
          'the tags',
          (JSON.parse((await get(`/v2/${name}/tags/list`)).toString()) as { tags: string[] }).tags,
          [...tags].sort(),
        );
      },
      resume: async (image) => {
        for (const [digest, bytes] of blobsOf(image).slice(0, 6)) {
          await writeFile(out, bytes);
          await truncate(out, Math.floor(bytes.length / 2));
          expectEqual('a blob', digestOf(await get(`/v2/${image.name}/blobs/${digest}`, '-C', '-')), digest);
        }
      },
    },
  };
}

/** podman and buildah keep images in a storage of their own, below the folder. */
async function storageCommand(
  machine: Machine,
  program: string,
  folder: string,
  host: string,
): Promise<(...args: readonly string[]) => Promise<string>> {
  const storage = ['--storage-driver', 'vfs', '--root', join(folder, 'root'), '--runroot', join(folder, 'run')];
  const registries = join(folder, 'registries.conf');
  await mkdir(folder, { recursive: true });
  // --tls-verify=false does not reach the listing of tags for --all-tags.
  await writeFile(registries, `[[registry]]\nlocation = "${host}"\ninsecure = true\n`);
  return (...args) => machine.must(program, [...storage, ...args], { env: { CONTAINERS_REGISTRIES_CONF: registries } });
}

/**
 * What a client of today gets by tag where it takes everything: what was published, but of schema 1 the derived schema
 * 2.
 */
function readableRoot({ root, manifest }: PublishedImage): string {
  return root.form === 'docker-schema1' ? manifest.digest : root.digest;
}

function isList({ root }: PublishedImage): boolean {
  return root.form === 'oci-index' || root.form === 'docker-list';
}

/** A `dir:` with the image for this platform: its manifest, config and layers, and nothing else. */
async function expectDir(out: string, image: PublishedImage): Promise<void> {
  const manifest = await readFile(join(out, 'manifest.json'));
  expectEqual('the manifest', digestOf(manifest), image.manifest.digest);
  const files = (await readdir(out)).filter((name) => /^[0-9a-f]{64}$/.test(name));
  for (const name of files) expectEqual('a blob', digestOf(await readFile(join(out, name))), `sha256:${name}`);
  const { config } = JSON.parse(manifest.toString()) as { config: { digest: string } };
  expectEqual(
    'the blobs',
    files.map((name) => `sha256:${name}`).sort(),
    unique([config.digest, ...image.layers]).sort(),
  );
}

/** A `dir:` with all images of the list: everything that was given, byte for byte. */
async function expectWholeList(out: string, { root, blobs }: PublishedImage): Promise<void> {
  const got = [];
  for (const name of await readdir(out)) {
    if (name === 'version') continue;
    const digest = digestOf(await readFile(join(out, name)));
    if (/^[0-9a-f]{64}/.test(name)) expectEqual('a file', digest, `sha256:${name.slice(0, 64)}`);
    got.push(digest);
  }
  if (!got.includes(root.digest)) throw new Error('the list is not as published');
  expectEqual('manifests and blobs', unique(got).sort(), [...blobs.keys()].sort());
}

/** An OCI layout that has what was given (of schema 1, what was derived). */
async function expectLayout(out: string, image: PublishedImage): Promise<void> {
  const folder = join(out, 'blobs', 'sha256');
  const names = await readdir(folder);
  for (const name of names) expectEqual('a blob', digestOf(await readFile(join(folder, name))), `sha256:${name}`);
  const wanted =
    image.root.form === 'docker-schema1' ? [image.manifest.digest, ...image.layers] : [...image.blobs.keys()];
  const lacking = wanted.filter((digest) => !names.includes(digest.slice('sha256:'.length)));
  if (lacking.length > 0) throw new Error(`the layout lacks ${lacking.join(', ')}`);
}

async function versionOf(machine: Machine, program: string): Promise<string> {
  const { stdout } = await machine.run(program, [program === 'crane' ? 'version' : '--version']);
  return /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? 'unknown';
}
