/** A publisher that is killed at any moment leaves every tag as it was or as it was to be, and complete. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blobsOf, readLinks } from '../../../src/manifest/links.ts';
import { readTag } from '../../../src/publisher/gc/survey.ts';
import { openLocal } from '../../../src/publisher/local/open-local.ts';
import { publishedRoots } from '../../../src/publisher/sources/bucket.ts';
import type { Target } from '../../../src/publisher/stores/target.ts';
import { verify } from '../../../src/publisher/verify/verify.ts';
import { blobKey, manifestKey, tagKey } from '../../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import { type DirImage, writeDirImage } from '../dir-image.ts';
import { nameOf, tagOf } from '../gc-bucket.ts';

const MAIN = new URL('../../../src/publisher/main.ts', import.meta.url).pathname;
const NAME = nameOf('test/crash');
const TAG = tagOf('latest');
const TIMES = 20;

let folder: string;
let state: string;
let target: Target;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-crash-'));
  state = join(folder, 'state');
  // Whoever has the store open serves all others: the publishers that are killed go through this process.
  target = await openLocal(state);
}, 90_000);

afterAll(async () => {
  await target.close();
  await rm(folder, { recursive: true, force: true });
});

/** Publishes in a process. With `killAfter`, that many milliseconds after it began to write it is killed. Gives how long it wrote, and whether it ended by itself. */
async function publish(image: DirImage, killAfter?: number): Promise<{ wrote: number; ended: boolean }> {
  const child = spawn(process.execPath, [MAIN, 'publish', image.source, `${NAME}:${TAG}`, '--state', state, '--json'], {
    env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let began: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    if (began !== undefined || !chunk.includes('"plan"')) return;
    began = performance.now();
    if (killAfter !== undefined) timer = setTimeout(() => child.kill('SIGKILL'), killAfter);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { wrote: performance.now() - (began ?? NaN), ended: code === 0 };
}

/** The digest that the tag has, after a look at everything that it needs. */
async function digestOfTag(): Promise<string> {
  const reading = await readTag(target.store, tagKey(NAME, TAG));
  if (reading?.kind !== 'read') throw new Error(`the tag is ${reading?.kind ?? 'not there'}`);
  const lacking: string[] = [];
  for (const [index, { digest }] of reading.record.forms.entries()) {
    if ((await target.store.head(manifestKey(NAME, digest))) === null) lacking.push(digest);
    const links = readLinks(reading.manifests[index] ?? new Uint8Array());
    for (const blob of links === null ? [] : blobsOf(links)) {
      const info = await target.store.head(blobKey(PUBLIC_REALM, blob.digest));
      if (info === null || (blob.size !== undefined && info.size !== blob.size)) lacking.push(blob.digest);
    }
  }
  expect(lacking).toEqual([]);
  return publishedRoots(reading.record, reading.manifests)
    .map(({ digest }) => digest)
    .join();
}

describe('a publish that is killed', () => {
  it(
    `leaves the tag old or new and complete, ${String(TIMES)} times over, and nothing wrong after the next publish`,
    { timeout: 400_000 },
    async () => {
      const image = (index: number): Promise<DirImage> => writeDirImage(join(folder, `image-${String(index)}`), { layers: 6 });
      const first = await image(0);
      const { wrote } = await publish(first);
      let now: string = await digestOfTag();
      expect(now).toBe(first.manifest.digest);
      let cut = 0;
      for (let index = 1; index <= TIMES; index += 1) {
        const next = await image(index);
        // Spread evenly over the time that a publish writes, with chance within each stretch.
        const { ended } = await publish(next, (wrote * (index - Math.random())) / TIMES);
        if (!ended) cut += 1;
        const found = await digestOfTag();
        expect([now, next.manifest.digest]).toContain(found);
        if (ended) expect(found).toBe(next.manifest.digest);
        now = found;
      }
      // Otherwise nothing was tested.
      expect(cut).toBeGreaterThan(TIMES / 2);
      const last = await image(TIMES + 1);
      expect((await publish(last)).ended).toBe(true);
      expect(await digestOfTag()).toBe(last.manifest.digest);
      expect((await verify(target.store, { table: [], sample: 1, repair: false, jobs: 4 })).faults).toEqual([]);
    },
  );
});
