import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openArchive } from '../../../src/publisher/sources/archive.ts';
import { openDockerArchive } from '../../../src/publisher/sources/docker-archive.ts';
import { MEDIA_TYPES } from '../../../src/registry/media-type.ts';
import { digestOf } from '../gc-bucket.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-archive-'));
});
afterAll(() => rm(folder, { recursive: true }));

function tar(from: string, file: string, ...args: readonly string[]): string {
  const { status, stderr } = spawnSync('tar', [...args, '-C', from, '-cf', join(folder, file), '.'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return join(folder, file);
}

const LONG = `${'long-'.repeat(30)}/${'name-'.repeat(20)}.json`;

describe('a tar archive', () => {
  test.each(['gnu', 'pax', 'ustar', 'v7', 'oldgnu'])(
    'of the format %s is indexed: names, links and sizes',
    async (format) => {
      const from = join(folder, `from-${format}`);
      // ustar and v7 have no long names at all.
      const long = format === 'ustar' || format === 'v7' ? 'short.json' : LONG;
      await mkdir(join(from, 'a/b'), { recursive: true });
      await mkdir(join(from, long, '..'), { recursive: true });
      await writeFile(join(from, 'a/b/file'), 'content');
      await writeFile(join(from, 'empty'), '');
      await writeFile(join(from, long), 'long');
      await symlink('b/file', join(from, 'a/link'));
      await symlink('../../etc/passwd', join(from, 'a/out'));
      const archive = await openArchive(tar(from, `${format}.tar`, `--format=${format}`));
      try {
        expect(Buffer.from((await archive.read('a/b/file')) ?? '').toString()).toBe('content');
        expect(Buffer.from((await archive.read('a/link')) ?? '').toString()).toBe('content');
        expect(Buffer.from((await archive.read(long)) ?? '').toString()).toBe('long');
        expect(archive.sizeOf('empty')).toBe(0);
        expect([archive.has('a/out'), archive.has('a/b'), archive.has('none')]).toEqual([false, false, false]);
      } finally {
        await archive.close();
      }
    },
  );

  test('gives a file in buffers of its own and in lent ones, and not a byte of the next', async () => {
    const from = join(folder, 'pooled');
    await mkdir(from);
    const sizes = [0, 1, 262_144, 262_145, 3_000_000];
    for (const size of sizes)
      await writeFile(
        join(from, `f${String(size)}`),
        createHash('shake256', { outputLength: size }).update(String(size)).digest(),
      );
    const archive = await openArchive(tar(from, 'lent.tar'));
    try {
      for (const size of sizes) {
        const bytes = createHash('shake256', { outputLength: size }).update(String(size)).digest();
        for (const way of ['chunks', 'pooled'] as const) {
          const blob = archive.open(`f${String(size)}`);
          const got: Buffer[] = [];
          for await (const chunk of (way === 'pooled' ? blob?.pooled?.chunks : blob?.chunks) ?? [])
            got.push(Buffer.from(chunk));
          expect(Buffer.concat(got).equals(bytes), `${way} of ${String(size)}`).toBe(true);
        }
      }
    } finally {
      await archive.close();
    }
  });

  test('that is damaged in its midst is refused with the place', async () => {
    const from = join(folder, 'damaged');
    await mkdir(from);
    for (const name of ['1', '2', '3']) await writeFile(join(from, name), 'x'.repeat(2000));
    const file = tar(from, 'damaged.tar');
    const { open } = await import('node:fs/promises');
    const handle = await open(file, 'r+');
    await handle.write('garbage', 512 + 512 + 2048);
    await handle.close();
    await expect(openArchive(file)).rejects.toThrow(/is damaged at byte \d+/);
  });

  test('through a pipe is copied to a file that has no name any more', async () => {
    const from = join(folder, 'piped');
    await mkdir(from);
    await writeFile(join(from, 'file'), 'content');
    const file = tar(from, 'piped.tar');
    spawnSync('gzip', ['-k', file]);
    const before = new Set((await readdir(tmpdir())).filter((name) => name.startsWith('gantry-')));
    const told: string[] = [];
    const archive = await openArchive(`${file}.gz`, { onMessage: (message) => void told.push(message) });
    expect(
      (await readdir(tmpdir())).filter(
        (name) => name.startsWith('gantry-') && !before.has(name) && /^gantry-\w{6}$/.test(name),
      ),
    ).toEqual([]);
    expect(Buffer.from((await archive.read('file')) ?? '').toString()).toBe('content');
    await archive.close();
    expect(told).toHaveLength(1);
  });

  test('that is compressed and cut off is refused', async () => {
    const file = join(folder, 'cut.tar.gz');
    await writeFile(file, gzipSync(Buffer.alloc(100_000, 'x')).subarray(0, 80));
    await expect(openArchive(file)).rejects.toThrow(/cannot be decompressed/);
  });
});

describe('what docker save wrote', () => {
  const layers = ['base', 'top'].map((text) => Buffer.alloc(10_240, text));
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: {
        type: 'layers',
        diff_ids: [layers[0], layers[1], layers[0]].map((bytes) => digestOf(bytes ?? Buffer.alloc(0))),
      },
    }),
  );
  const hex = createHash('sha256').update(config).digest('hex');

  /** Docker's own layout up to 24: a folder a layer, and a link where a layer comes twice. */
  async function save(
    name: string,
    change: { config?: Buffer; layerFiles?: readonly (Buffer | undefined)[]; manifest?: string } = {},
  ): Promise<string> {
    const from = join(folder, name);
    const files = change.layerFiles ?? layers;
    for (const [index, bytes] of files.entries()) {
      await mkdir(join(from, `layer${String(index)}`), { recursive: true });
      await writeFile(join(from, `layer${String(index)}`, 'VERSION'), '1.0');
      if (bytes !== undefined) await writeFile(join(from, `layer${String(index)}`, 'layer.tar'), bytes);
    }
    await mkdir(join(from, 'layer2'), { recursive: true });
    await symlink('../layer0/layer.tar', join(from, 'layer2', 'layer.tar'));
    await writeFile(join(from, `${hex}.json`), change.config ?? config);
    const manifest = [
      {
        Config: `${hex}.json`,
        RepoTags: ['team/app:1'],
        Layers: ['layer0/layer.tar', 'layer1/layer.tar', 'layer2/layer.tar'],
      },
    ];
    await writeFile(join(from, 'manifest.json'), change.manifest ?? JSON.stringify(manifest));
    return tar(from, `${name}.tar`);
  }

  test('is read with layers that are links to others', async () => {
    const source = await openDockerArchive(await save('links'), {});
    const manifest = JSON.parse(Buffer.from(source.roots[0]?.bytes ?? '').toString()) as { layers: unknown[] };
    expect(manifest.layers).toEqual(
      [layers[0], layers[1], layers[0]].map((bytes) => ({
        mediaType: MEDIA_TYPES.dockerLayerTar,
        size: 10_240,
        digest: digestOf(bytes ?? Buffer.alloc(0)),
      })),
    );
    await source.close();
  });

  test('is read with layers that are compressed: then their digest is that of the file', async () => {
    const packed = layers.map((bytes) => gzipSync(bytes));
    const source = await openDockerArchive(await save('packed', { layerFiles: packed }), {});
    const manifest = JSON.parse(Buffer.from(source.roots[0]?.bytes ?? '').toString()) as {
      layers: { digest: string }[];
    };
    expect(manifest.layers[0]).toEqual({
      mediaType: MEDIA_TYPES.dockerLayerGzip,
      size: packed[0]?.length,
      digest: digestOf(packed[0] ?? Buffer.alloc(0)),
    });
    await source.close();
  });

  test.each<[string, Parameters<typeof save>[1], RegExp]>([
    ['lacks a layer', { layerFiles: [layers[0], undefined] }, /lacks the layer layer1\/layer\.tar/],
    ['has another config than its name says', { config: Buffer.from('{}') }, /config .* is damaged/],
    ['has a manifest that is not JSON', { manifest: '[' }, /manifest\.json is not JSON/],
    ['has a manifest that is not a list', { manifest: '{}' }, /is not a list of images/],
    ['names an image without layers', { manifest: '[{"Config":"x"}]' }, /without config or layers/],
    ['contains no image', { manifest: '[]' }, /contains no image/],
    [
      'names another number of layers than its config',
      { manifest: JSON.stringify([{ Config: `${hex}.json`, Layers: ['layer0/layer.tar'] }]) },
      /names 1 layers, the config 3/,
    ],
    [
      'names a config that is not there',
      { manifest: '[{"Config":"none.json","Layers":[]}]' },
      /lacks the config none\.json/,
    ],
  ])('is refused if it %s', async (title, change, message) => {
    await expect(openDockerArchive(await save(title.replaceAll(' ', '-'), change), {})).rejects.toThrow(message);
  });

  test('by a Docker from before 1.10 is refused with what to do', async () => {
    const from = join(folder, 'ancient');
    await mkdir(from);
    await writeFile(join(from, 'repositories'), '{}');
    await expect(openDockerArchive(tar(from, 'ancient.tar'), {})).rejects.toThrow(/by Docker before 1\.10/);
  });
});
