/** `gantry convert`, as a process: what comes out must be the payload and nothing else. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gantry } from '../../interop/programs.ts';

const VECTORS = new URL('../../fixtures/schema1/', import.meta.url).pathname;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-convert-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function convert(vector: string, ...more: readonly string[]): ReturnType<typeof gantry> {
  const { name, tag } = JSON.parse(await readFile(join(VECTORS, vector, 'ref.json'), 'utf8')) as {
    name: string;
    tag: string;
  };
  const file = (part: string): string => join(VECTORS, vector, `${part}.json`);
  return gantry([
    'convert',
    '--manifest',
    file('manifest'),
    '--config',
    file('config'),
    '--name',
    name,
    '--tag',
    tag,
    ...more,
  ]);
}

describe.concurrent('gantry convert', () => {
  it.each(['02-busybox-classic', '05-html-unicode-emoji', '06-big-numbers'])(
    'prints the payload of %s byte for byte, and nothing after it',
    async (vector) => {
      const { code, stdout, stderr } = await convert(vector);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toBe(await readFile(join(VECTORS, vector, 'payload.json'), 'utf8'));
      const digest = (await readFile(join(VECTORS, vector, 'digest.txt'), 'utf8')).trim();
      expect(`sha256:${createHash('sha256').update(stdout).digest('hex')}`).toBe(digest);
    },
  );

  it('refuses what would give a broken image, and converts it all the same with --compat', async () => {
    const vector = '26-too-few-history';
    expect(existsSync(join(VECTORS, vector, 'payload.json'))).toBe(true);
    const strict = await convert(vector);
    expect(strict).toMatchObject({ code: 1, stdout: '' });
    expect(strict.stderr).toMatch(/^error: the image cannot be converted to schema 1: .*would be lost/);
    expect((await convert(vector, '--compat')).stdout).toBe(
      await readFile(join(VECTORS, vector, 'payload.json'), 'utf8'),
    );
  });

  it('says with --compat too why there is nothing to convert', async () => {
    const refused = await convert('17-empty-history', '--compat');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/schema1-no-history/);
  });

  it('tells apart a file that is not there, one that is no manifest, and a name outside the grammar', async () => {
    const config = join(VECTORS, '02-busybox-classic', 'config.json');
    const list = join(folder, 'list.json');
    await writeFile(list, '{"schemaVersion":2,"manifests":[]}');
    const at = (manifest: string, name = 'library/app'): ReturnType<typeof gantry> =>
      gantry(['convert', '--manifest', manifest, '--config', config, '--name', name, '--tag', 'v1']);
    expect((await at(join(folder, 'nothing.json'))).stderr).toMatch(/nothing\.json cannot be read/);
    expect((await at(list)).stderr).toMatch(/list\.json has no layers/);
    expect((await at(list, 'Library/App')).code).toBe(2);
  });
});
