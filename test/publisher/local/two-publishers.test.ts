/** Two publishers at once lose nothing of each other's. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listRepositories } from '../../../src/bucket/survey.ts';
import { openLocal } from '../../../src/publisher/local/open-local.ts';
import { readTagList } from '../../../src/publisher/commands/stored.ts';
import { verify } from '../../../src/publisher/verify/verify.ts';
import { run } from '../../interop/programs.ts';
import { writeDirImage } from '../dir-image.ts';
import { nameOf } from '../gc-bucket.ts';

const PROGRAM = new URL('./publish-many.ts', import.meta.url).pathname;
const TAGS = 200;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-two-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('two publishers at once', () => {
  it(
    `with ${String(TAGS)} tags each of one repository leave ${String(2 * TAGS)} tags, all in the list, and nothing wrong`,
    { timeout: 400_000 },
    async () => {
      const state = join(folder, 'state');
      const images = [await writeDirImage(join(folder, 'a')), await writeDirImage(join(folder, 'b'))];
      // The first to come has the store open, the other goes through it, and takes it over where the first is done
      // before.
      const done = await Promise.all(
        images.map((image, index) =>
          run(process.execPath, [PROGRAM, state, image.folder, 'test/many', index === 0 ? 'a' : 'b', String(TAGS)]),
        ),
      );
      expect(done.map(({ code, stderr }) => ({ code, stderr }))).toEqual(images.map(() => ({ code: 0, stderr: '' })));
      const target = await openLocal(state);
      try {
        const name = nameOf('test/many');
        const expected = ['a', 'b']
          .flatMap((prefix) => Array.from({ length: TAGS }, (_, index) => `${prefix}${String(index)}`))
          .sort();
        const listing = (await listRepositories(target.store, name)).repositories.get(name);
        expect([...(listing?.tags.keys() ?? [])].sort()).toEqual(expected);
        expect((await readTagList(target.store, name)).map(({ tag }) => tag)).toEqual(expected);
        expect((await verify(target.store, { table: [], sample: 1, repair: false, jobs: 4 })).faults).toEqual([]);
      } finally {
        await target.close();
      }
    },
  );
});
