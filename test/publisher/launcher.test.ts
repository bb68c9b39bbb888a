import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
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
    for (const file of ['gantry.js', 'start-bundle.js'])
      await copyFile(join(ROOT, 'bin', file), join(root, 'bin', file));
    await writeFile(join(root, 'src/publisher/main.ts'), "const name: string = 'sources';\nconsole.log(name);\n");
    await writeFile(join(root, 'dist/gantry/main.cjs'), "console.log('bundle');\n");
    return join(root, 'bin/gantry.js');
  }

  it.each([
    ['the sources in a checkout', 'checkout', 'sources'],
    ['the bundle in an installed package', 'node_modules/gantry-registry', 'bundle'],
  ])('%s', async (_, place, expected) => {
    expect((await must(process.execPath, [await packageAt(place)])).trim()).toBe(expected);
  });

  describe('the bundle with compiled code', () => {
    const env = { ...process.env, XDG_CACHE_HOME: undefined as string | undefined };
    let launcher: string;
    let kept: string;
    beforeEach(async () => {
      launcher = await packageAt('node_modules/gantry-registry');
      env.XDG_CACHE_HOME = join(folder, 'cache');
      kept = join(folder, 'cache/gantry/ls-main.cjs');
      expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('bundle\n');
    });

    it('of the last run of the same command', async () => {
      await utimes(kept, 1, 1);
      expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('bundle\n');
      // It was used, so it was not written again.
      expect((await stat(kept)).mtimeMs).toBe(1_000);
    });

    it('but not with that of another bundle of the same length', async () => {
      await writeFile(join(folder, 'node_modules/gantry-registry/dist/gantry/main.cjs'), "console.log('BUNDLE');\n");
      expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('BUNDLE\n');
      expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('BUNDLE\n');
    });

    it('but not with damaged code, which is replaced', async () => {
      const whole = await readFile(kept);
      for (const damaged of [whole.subarray(0, 3), whole.subarray(0, -1), Buffer.alloc(whole.length)]) {
        await writeFile(kept, damaged);
        expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('bundle\n');
        expect((await readFile(kept)).length).toBe(whole.length);
      }
    });

    it('but not with code that others could have written', async () => {
      await chmod(kept, 0o622);
      expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('bundle\n');
      // It was not used, so it was written again.
      expect((await stat(kept)).mode & 0o777).toBe(0o600);
    });

    it('of both files, and runs the libraries once', async () => {
      const dist = join(folder, 'node_modules/gantry-registry/dist/gantry');
      await writeFile(join(dist, 'libraries.cjs'), "console.log('libraries'); module.exports = {};\n");
      const twice = "console.log(require('./libraries.cjs') === require('./libraries.cjs'));\n";
      await writeFile(join(dist, 'main.cjs'), twice);
      expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('libraries\ntrue\n');
      expect(await readdir(join(folder, 'cache/gantry'))).toEqual(['ls-libraries.cjs', 'ls-main.cjs']);
    });

    it('and without it where it cannot be kept', async () => {
      // Not even root can make a folder of a file.
      env.XDG_CACHE_HOME = join(folder, 'file');
      await writeFile(env.XDG_CACHE_HOME, '');
      expect(await must(process.execPath, [launcher, 'ls'], { env })).toBe('bundle\n');
    });

    it('and keeps none of a command that failed', async () => {
      await writeFile(join(folder, 'node_modules/gantry-registry/dist/gantry/main.cjs'), 'process.exit(2);\n');
      await expect(must(process.execPath, [launcher, 'nonsense'], { env })).rejects.toThrow();
      expect(await readdir(join(folder, 'cache/gantry'))).toEqual(['ls-main.cjs']);
    });
  });
});

describe('the bundle', () => {
  it('runs a command that loads libraries, without the sources', { timeout: 60_000 }, async () => {
    const root = join(folder, 'node_modules/gantry-registry');
    await must(process.execPath, [join(ROOT, 'bin/build.ts'), join(root, 'dist/gantry')]);
    await mkdir(join(root, 'bin'));
    for (const file of ['package.json', 'bin/gantry.js', 'bin/start-bundle.js'])
      await copyFile(join(ROOT, file), join(root, file));
    const launcher = join(root, 'bin/gantry.js');
    expect(await must(process.execPath, [launcher, '--help'])).toContain('gantry publish');
    // The S3 client is loaded before the variables are read.
    const env = { ...process.env, AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: 'secret' };
    await expect(must(process.execPath, [launcher, 'ls', '--to', 's3://bucket'], { env })).rejects.toThrow(
      'AWS_ACCESS_KEY_ID is not set',
    );
  });
});
