import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingPrograms, must, run, titleWith } from '../../interop/programs.ts';
import { Bucket } from '../gc-bucket.ts';
import { runGantry } from './command-line.ts';

let folder: string;
let script: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-completion-'));
  script = join(folder, 'gantry.bash');
  await writeFile(script, (await runGantry(new Bucket(), ['completion', 'bash'])).stdout);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What bash offers for the last of the words. */
async function complete(...words: readonly string[]): Promise<readonly string[]> {
  const program =
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gantry; printf "%s\\n" "${COMPREPLY[@]}"';
  return (await must('bash', ['-c', program, 'bash', script, ...words])).trim().split('\n');
}

describe('gantry completion bash', () => {
  it('offers commands, commands below commands, and options', async () => {
    expect(await complete('gantry', 'expl')).toEqual(['explain']);
    expect(await complete('gantry', 'key', 's')).toEqual(['show']);
    expect(await complete('gantry', 'publish', '--re')).toEqual(['--replace', '--recompress', '--rewrite-opaque']);
    expect(await complete('gantry', 'publish', '--replace', '--no')).toEqual(['--no-referrers']);
  });

  it('does not take a value for a command', async () => {
    expect(await complete('gantry', 'ls', 'key', '--js')).toEqual(['--json']);
  });
});

describe('gantry completion', () => {
  const noZsh = missingOptional('zsh');
  it.skipIf(noZsh.length > 0)(titleWith('is a script that zsh reads', noZsh), async () => {
    const file = join(folder, '_gantry');
    await writeFile(file, (await runGantry(new Bucket(), ['completion', 'zsh'])).stdout);
    expect(await run('zsh', ['-n', file])).toMatchObject({ code: 0, stderr: '' });
  });

  const noFish = missingOptional('fish');
  it.skipIf(noFish.length > 0)(titleWith('is a script that fish reads', noFish), async () => {
    const file = join(folder, 'gantry.fish');
    await writeFile(file, (await runGantry(new Bucket(), ['completion', 'fish'])).stdout);
    expect(await run('fish', ['--no-execute', file])).toMatchObject({ code: 0, stderr: '' });
  });

  it('knows every command in each shell, and refuses other shells', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { stdout } = await runGantry(new Bucket(), ['completion', shell]);
      for (const verb of [
        'publish',
        'ls',
        'inspect',
        'explain',
        'rm',
        'serve',
        'convert',
        'gc',
        'verify',
        'doctor',
        'key',
        'token',
      ])
        expect(stdout).toContain(verb);
    }
    expect((await runGantry(new Bucket(), ['completion', 'tcsh'])).code).toBe(2);
  });
});

/** Shells that few machines have are no part of what must be installed. */
function missingOptional(name: string): readonly string[] {
  try {
    return missingPrograms(name);
  } catch {
    return [name];
  }
}
