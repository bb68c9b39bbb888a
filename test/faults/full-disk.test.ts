/**
 * A disk that is full is named as the cause, at once, and the store goes on serving. Needs root, for a file system of a
 * few MiB.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GantryServer, startGantry } from '../interop/gantry-server.ts';
import { gantry, must, run } from '../interop/programs.ts';
import { type DirImage, writeDirImage } from '../publisher/dir-image.ts';

const canMount =
  process.getuid?.() === 0 &&
  (await run('sh', ['-c', 'd=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $d && umount $d'])).code === 0;

describe.skipIf(!canMount)(`a full disk${canMount ? '' : ' [skipped: cannot mount a tmpfs]'}`, () => {
  let folder: string;
  let disk: string;
  let small: DirImage;
  let large: DirImage;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-full-'));
    disk = join(folder, 'disk');
    await mkdir(disk);
    await must('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk]);
    small = await writeDirImage(join(folder, 'small'));
    large = await writeDirImage(join(folder, 'large'), { layers: [new Uint8Array(randomBytes(24 * 2 ** 20))] });
    env = { ...process.env, GANTRY_KEY: join(folder, 'key.pem') };
  });
  afterAll(async () => {
    await run('umount', ['-l', disk]);
    await rm(folder, { recursive: true, force: true });
  });

  const publish = (image: DirImage, tag: string, state: string): ReturnType<typeof gantry> =>
    gantry(['publish', image.source, `test/app:${tag}`, '--state', state], {
      env,
      signal: AbortSignal.timeout(60_000),
    });

  it.each([
    ['by itself', 'own', false],
    ['through a server', 'served', true],
  ])(
    'is told at once by who publishes %s, and what was there is there',
    { timeout: 100_000 },
    async (_, name, isServed) => {
      const state = join(disk, name);
      let server: GantryServer | undefined;
      try {
        if (isServed) server = await startGantry(state, { env });
        expect((await publish(small, 'small', state)).code).toBe(0);
        const begun = performance.now();
        const { code, stderr } = await publish(large, 'large', state);
        expect(code).toBe(1);
        expect(stderr).toMatch(/full|no space/i);
        expect(performance.now() - begun).toBeLessThan(30_000);
        server ??= await startGantry(state, { env });
        const answer = await fetch(`${server.url}/v2/test/app/manifests/small`, {
          headers: { accept: small.manifest.mediaType },
        });
        expect([answer.status, answer.headers.get('docker-content-digest')]).toEqual([200, small.manifest.digest]);
      } finally {
        await server?.close();
        await rm(state, { recursive: true, force: true });
      }
    },
  );
});
