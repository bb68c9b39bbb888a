/**
 * A second program on the same local state: `wrangler dev`, which takes no lock of ours. Whoever comes second says so
 * at once instead of writing beside it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../interop/programs.ts';
import { startWranglerDev, type WranglerDev } from '../interop/wrangler-dev.ts';
import { type DirImage, writeDirImage } from '../publisher/dir-image.ts';

const MAIN = new URL('../../bin/gantry.js', import.meta.url).pathname;

describe('beside wrangler dev over the same state', () => {
  let folder: string;
  let image: DirImage;
  let dev: WranglerDev;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-two-'));
    image = await writeDirImage(join(folder, 'image'));
    dev = await startWranglerDev({ state: join(folder, 'state') });
    // It opens its files when somebody asks.
    await fetch(`${dev.url}/v2/test/app/tags/list`);
  }, 90_000);
  afterAll(async () => {
    await dev.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['publish', (): string[] => ['publish', image.source, 'test/app:latest', '--state', join(folder, 'state')]],
    ['serve', (): string[] => ['serve', '--port', '0', '--state', join(folder, 'state')]],
  ])('gantry %s refuses, and names who has the state open', { timeout: 60_000 }, async (_, args) => {
    const { code, stderr } = await run('timeout', ['20', process.execPath, MAIN, ...args()], {
      env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/wrangler dev|another program|process \d+/);
  });
});
