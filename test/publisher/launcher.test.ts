import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { must } from '../interop/programs.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-launcher-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the launcher starts', () => {
  /** A package whose programs only print which of them runs. */
  async function packageAt(place: string): Promise<string> {
    const root = join(folder, place);
    for (const path of ['bin', 'src/publisher', 'dist/gantry']) await mkdir(join(root, path), { recursive: true });
    await writeFile(join(root, 'package.json'), '{ "type": "module" }');
    await copyFile(join(ROOT, 'bin/gantry.js'), join(root, 'bin/gantry.js'));
    await writeFile(join(root, 'src/publisher/main.ts'), "const name: string = 'sources';\nconsole.log(name);\n");
    await writeFile(join(root, 'dist/gantry/main.js'), "console.log('bundle');\n");
    return join(root, 'bin/gantry.js');
  }

  it.each([
    ['the sources in a checkout', 'checkout', 'sources'],
    ['the bundle in an installed package', 'node_modules/gantry-registry', 'bundle'],
  ])('%s', async (_, place, expected) => {
    expect((await must(process.execPath, [await packageAt(place)])).trim()).toBe(expected);
  });

  it('with a cache of compiled code of the user, where the package cannot be written', async () => {
    const launcher = await packageAt('node_modules/gantry-registry');
    // Not even root can make a folder of it.
    await writeFile(join(folder, 'node_modules/gantry-registry/dist/compile-cache'), '');
    const env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache'), NODE_COMPILE_CACHE: undefined };
    expect((await must(process.execPath, [launcher], { env })).trim()).toBe('bundle');
    expect(await readdir(join(folder, 'cache/gantry'))).not.toEqual([]);
  });
});

describe('the bundle', () => {
  it('runs a command that loads libraries, without the sources', { timeout: 60_000 }, async () => {
    const root = join(folder, 'node_modules/gantry-registry');
    await must(process.execPath, [join(ROOT, 'bin/build.ts'), join(root, 'dist/gantry')]);
    await mkdir(join(root, 'bin'));
    for (const file of ['package.json', 'bin/gantry.js']) await copyFile(join(ROOT, file), join(root, file));
    const launcher = join(root, 'bin/gantry.js');
    expect(await must(process.execPath, [launcher, '--help'])).toContain('gantry publish');
    // The S3 client is loaded before the variables are read.
    const env = { ...process.env, AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: 'secret' };
    await expect(must(process.execPath, [launcher, 'ls', '--to', 's3://bucket'], { env })).rejects.toThrow(
      'AWS_ACCESS_KEY_ID is not set',
    );
  });
});
