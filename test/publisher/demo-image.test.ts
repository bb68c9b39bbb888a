import { buffer } from 'node:stream/consumers';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { DEMO_GREETING, helloProgram, openDemoImage } from '../../src/publisher/local/demo-image.ts';
import { readImage } from '../../src/bucket/read-image.ts';
import { openBlob, verifyChunks } from '../../src/publisher/streams/verified-stream.ts';
import { readImageManifest } from '../../src/manifest/read.ts';
import { digestOf } from './gc-bucket.ts';

describe('the demo image', () => {
  it('has the same digest on every machine', async () => {
    const { content } = await readImage(openDemoImage());
    expect(content.roots.map(({ digest }) => digest)).toEqual([
      'sha256:a6b59398e0ffa802933d3457f06d35a3900a9096aa7f743af61685b81f8fb4db',
    ]);
  });

  it('is complete: its blobs have their digests, its layers unpack to their diff IDs, one history entry is empty', async () => {
    const source = openDemoImage();
    const { content } = await readImage(source);
    const { config, layers } = readImageManifest(content.roots[0] ?? { bytes: new Uint8Array() });
    const { history, rootfs } = JSON.parse(new TextDecoder().decode(content.configs.get(config.digest))) as {
      history: { empty_layer?: boolean }[];
      rootfs: { diff_ids: string[] };
    };
    const unpacked: string[] = [];
    for (const { digest, size } of layers) {
      const expected = { digest, size, role: 'layer' };
      const { chunks } = await openBlob(source, expected);
      unpacked.push(digestOf(gunzipSync(await buffer(verifyChunks(chunks, expected)))));
    }
    expect(unpacked).toEqual(rootfs.diff_ids);
    expect(history.filter(({ empty_layer: empty }) => empty === true)).toHaveLength(1);
    expect(history).toHaveLength(layers.length + 1);
  });

  const elsewhere = process.platform !== 'linux' || process.arch !== 'x64';
  it.skipIf(elsewhere)('has a program that greets and ends with 0', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-demo-'));
    try {
      const file = join(folder, 'hello');
      await writeFile(file, helloProgram(DEMO_GREETING), { mode: 0o755 });
      const { status, stdout } = spawnSync(file, { encoding: 'utf8' });
      expect({ status, stdout }).toEqual({ status: 0, stdout: DEMO_GREETING });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
