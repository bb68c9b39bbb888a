/** Mistakes that people make on the command line. */
import { describe, expect, it } from 'vitest';
import { callersFolder } from '../../../src/publisher/cli/environment.ts';
import { parseTagged, refuseHost } from '../../../src/publisher/cli/image-name.ts';
import { createProgram } from '../../../src/publisher/program.ts';
import { readEnvironment } from '../../../src/publisher/cli/environment.ts';

async function failureOf(...argv: string[]): Promise<{ message: string; hint?: string; kind?: string }> {
  const program = await createProgram(readEnvironment(['node', 'gantry', ...argv], {}));
  return program.parseAsync(argv, { from: 'user' }).then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error as { message: string; hint?: string; kind?: string },
  );
}

describe('an unknown command', () => {
  it.each([
    ['publsh', 'Did you mean `gantry publish`?'],
    ['list', 'Did you mean `gantry ls`?'],
    ['push', 'Did you mean `gantry publish`?'],
    ['verfy', 'Did you mean `gantry verify`?'],
    ['frobnicate', '`gantry --help` lists all commands.'],
  ])('is a usage error that names the nearest command: %s', async (command, hint) => {
    expect(await failureOf(command)).toMatchObject({ kind: 'usage', hint });
  });
});

describe('a name that begins with the host of a registry', () => {
  it.each(['registry.example.com/a/b:1', 'localhost/a:1', '10.0.0.1/a:1'])('is refused: %s', (text) => {
    expect(() => {
      refuseHost(parseTagged(text).name);
    }).toThrow(/probably the host of a registry/);
  });

  it.each(['a/b:1', 'library/busybox:latest', 'v12/app:1', 'my.app:1'])('no other is: %s', (text) => {
    refuseHost(parseTagged(text).name);
  });
});

describe('relative paths', () => {
  it('begin where the caller of `npm run gantry` is', () => {
    expect(callersFolder({ npm_lifecycle_event: 'gantry', INIT_CWD: '/home/me/images' })).toBe('/home/me/images');
    expect(callersFolder({ npm_lifecycle_event: 'test', INIT_CWD: '/home/me/images' })).toBeUndefined();
    expect(callersFolder({})).toBeUndefined();
  });
});
