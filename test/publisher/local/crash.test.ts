/** A publisher that is killed at any moment leaves every tag as it was or as it was to be, and complete. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blobsOf, readLinks } from '../../../src/manifest/links.ts';
import { readTag } from '../../../src/bucket/read-tag.ts';
import { openLocal } from '../../../src/publisher/local/open-local.ts';
import { publishedRoots } from '../../../src/bucket/read-tag.ts';
import type { Target } from '../../../src/publisher/stores/target.ts';
import { verify } from '../../../src/publisher/verify/verify.ts';
import { blobKey, manifestKey, tagKey } from '../../../src/registry/keys.ts';
import { PUBLIC_REALM } from '../../../src/registry/realms.ts';
import { type DirImage, writeDirImage } from '../dir-image.ts';
import { nameOf, tagOf } from '../gc-bucket.ts';

const MAIN = new URL('../../../bin/gantry.js', import.meta.url).pathname;
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

/** When a publisher is killed: after so many lines of its events, and so many milliseconds more. */
interface Moment {
  readonly lines: number;
  readonly milliseconds: number;
}

/**
 * Publishes in a process that may be killed. Gives whether it ended by itself, how many events it told before its
 * result, and how long it went on after the last of them.
 */
async function publish(image: DirImage, kill?: Moment): Promise<{ ended: boolean; lines: number; silent: number }> {
  const child = spawn(process.execPath, [MAIN, 'publish', image.source, `${NAME}:${TAG}`, '--state', state, '--json'], {
    env: { ...process.env, GANTRY_KEY: join(folder, 'key.pem') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let lines = 0;
  let [last, silent] = [0, 0];
  let timer: NodeJS.Timeout | undefined;
  createInterface(child.stdout).on('line', (line) => {
    if (line.includes('"result"')) {
      silent = performance.now() - last;
      return;
    }
    lines += 1;
    last = performance.now();
    if (lines === kill?.lines) timer = setTimeout(() => child.kill('SIGKILL'), kill.milliseconds);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { ended: code === 0, lines, silent };
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
  return publishedRoots(reading)
    .map(({ digest }) => digest)
    .join();
}

describe('a publish that is killed', () => {
  it(
    `leaves the tag old or new and complete, ${String(TIMES)} times over, and nothing wrong after the next publish`,
    { timeout: 400_000 },
    async () => {
      const image = (index: number): Promise<DirImage> =>
        writeDirImage(join(folder, `image-${String(index)}`), { layers: 6 });
      const first = await image(0);
      const { lines, silent } = await publish(first);
      let now: string = await digestOfTag();
      expect(now).toBe(first.manifest.digest);
      let cut = 0;
      for (let index = 1; index <= TIMES; index += 1) {
        const next = await image(index);
        // Spread evenly over the events of a publish, those without one (manifests, tag, lists) at its end included.
        const at = Math.min(lines, Math.ceil((index * (lines + 4)) / TIMES));
        const { ended } = await publish(next, {
          lines: at,
          milliseconds: at === lines ? Math.random() * silent : Math.random() * 5,
        });
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
