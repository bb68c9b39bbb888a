import { copyFile, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { must } from '../interop/programs.ts';

const LAUNCHER = new URL('../../bin/gantry.js', import.meta.url);
const EARLIER = new Date('2026-01-01T00:00:00Z');
const LATER = new Date('2026-01-02T00:00:00Z');

describe('the launcher starts', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-launcher-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A package whose programs only say what they are. */
  async function packageAt(
    place: string,
    times: { readonly built: Date | null; readonly source: Date },
  ): Promise<string> {
    const root = join(folder, place);
    const write = async (path: string, text: string, at: Date): Promise<void> => {
      await mkdir(join(root, path, '..'), { recursive: true });
      await writeFile(join(root, path), text);
      await utimes(join(root, path), at, at);
    };
    await write('package.json', '{ "type": "module" }', EARLIER);
    await write('bin/build.ts', '', EARLIER);
    await copyFile(LAUNCHER, join(root, 'bin', 'gantry.js'));
    await write('src/publisher/main.ts', "const said: string = 'source';\nconsole.log(said);\n", times.source);
    if (times.built !== null) {
      await write('dist/gantry/main.js', "console.log('built');\n", times.built);
      await write('dist/gantry/sources.txt', 'package.json\nbin/build.ts\nsrc/publisher/main.ts', times.built);
    }
    for (const path of ['src', 'src/publisher']) await utimes(join(root, path), EARLIER, EARLIER);
    return join(root, 'bin', 'gantry.js');
  }

  const started = async (launcher: string): Promise<string> => (await must(process.execPath, [launcher])).trim();

  it('what was built after the sources were last changed', async () => {
    expect(await started(await packageAt('checkout', { built: LATER, source: EARLIER }))).toBe('built');
  });

  it('the sources where one is newer than what was built', async () => {
    expect(await started(await packageAt('checkout', { built: EARLIER, source: LATER }))).toBe('source');
  });

  it('the sources where a file is gone of which it was built', async () => {
    const launcher = await packageAt('checkout', { built: LATER, source: EARLIER });
    await rm(join(folder, 'checkout/bin/build.ts'));
    expect(await started(launcher)).toBe('source');
  });

  it('the sources where nothing was built', async () => {
    expect(await started(await packageAt('checkout', { built: null, source: EARLIER }))).toBe('source');
  });

  it('what was built in an installed package, whose files have the times of their unpacking', async () => {
    expect(await started(await packageAt('node_modules/gantry-registry', { built: EARLIER, source: LATER }))).toBe(
      'built',
    );
  });
});
