/** A large layer goes into the local store in bounded memory, whether it is served meanwhile or not. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Digest, hexOf, parseDigest } from '../../../src/registry/digest.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../../src/registry/media-type.ts';
import { digestOf } from '../gc-bucket.ts';
import { watchMemory } from '../process-tree.ts';

const MAIN = new URL('../../../bin/gantry.js', import.meta.url).pathname;

/** What the whole tree of processes may take: publisher, server, and workerd. */
const MOST = 600_000_000;

/**
 * Larger than any buffer on the way, and as large as a test may take; GANTRY_LAYER_MIB=2048 tries the size that the
 * bound is promised for.
 */
const MIB = Number(process.env.GANTRY_LAYER_MIB ?? 160);

let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-memory-'));
  env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  await writeLargeImage(folder);
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function publish(state: string, ...others: readonly number[]): Promise<{ code: number | null; most: number }> {
  const child = spawn(process.execPath, [MAIN, 'publish', `dir:${folder}`, 'test/large:v1', '--state', state], {
    env,
    stdio: 'ignore',
  });
  const memory = watchMemory(child.pid ?? 0, ...others);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, most: memory.stop() };
}

describe.skipIf(process.platform !== 'linux')(`a layer of ${String(MIB)} MiB`, () => {
  it('goes into a store that nobody serves', { timeout: 600_000 }, async () => {
    const { code, most } = await publish(join(folder, 'state'));
    expect(code).toBe(0);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(MOST);
  });

  it('goes into a store that is served, with the server counted', { timeout: 600_000 }, async () => {
    const state = join(folder, 'served');
    const server = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--state', state, '--json'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      await once(server.stdout, 'data');
      const { code, most } = await publish(state, server.pid ?? 0);
      expect(code).toBe(0);
      expect(most).toBeLessThan(MOST);
    } finally {
      server.kill();
      await once(server, 'close');
    }
  });
});

/** A `dir:` whose one layer is zeros with a beginning of its own: a file with holes takes no time to write. */
async function writeLargeImage(into: string): Promise<void> {
  const draft = join(into, 'layer');
  const size = MIB * 2 ** 20;
  const file = await open(draft, 'w');
  await file.write(`${String(process.pid)} ${String(performance.now())}`);
  await file.truncate(size);
  await file.close();
  const layer = await digestOfFile(draft);
  await rename(draft, join(into, hexOf(layer)));
  const created = '2026-01-01T00:00:00Z';
  const config = encode({
    architecture: 'amd64',
    os: 'linux',
    created,
    history: [{ created }],
    rootfs: { type: 'layers', diff_ids: [layer] },
  });
  await writeFile(join(into, hexOf(digestOf(config))), config);
  const manifest = encode({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE_OF_FORM['docker-schema2'],
    config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.length, digest: digestOf(config) },
    layers: [{ mediaType: MEDIA_TYPES.dockerLayerGzip, size, digest: layer }],
  });
  await writeFile(join(into, 'manifest.json'), manifest);
}

async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }) as AsyncIterable<Uint8Array>)
    hash.update(chunk);
  const digest = parseDigest(`sha256:${hash.digest('hex')}`);
  if (digest === null) throw new Error('no digest');
  return digest;
}

function encode(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
