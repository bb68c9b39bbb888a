/** Mistakes that people make on the command line. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tableLines } from '../../../src/publisher/cli/terminal-text.ts';
import { writeDirImage } from '../dir-image.ts';
import { Bucket } from '../gc-bucket.ts';
import { runGantry } from './command-line.ts';
import { callersFolder } from '../../../src/publisher/cli/environment.ts';
import { parseTagged, refuseHost } from '../../../src/publisher/cli/image-name.ts';
import { createProgram } from '../../../src/publisher/program.ts';
import { readEnvironment } from '../../../src/publisher/cli/environment.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-mistakes-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function failureOf(...argv: string[]): Promise<{ message: string; hint?: string; kind?: string }> {
  const running = createProgram(readEnvironment(['node', 'gantry', ...argv], {})).then((program) =>
    program.parseAsync(argv, { from: 'user' }),
  );
  return running.then(
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
    for (const options of [[], ['--json'], ['x', '--to', 'local']])
      expect(await failureOf(command, ...options)).toMatchObject({ kind: 'usage', hint });
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

describe('a target written as a source', () => {
  it.each(['docker://registry.example.com/a/b:1', 'docker://a/b', 'oci:/tmp/layout:1', 's3://bucket/a'])(
    'is a usage error that says so: %s',
    (text) => {
      expect(() => parseTagged(text)).toThrow(/begins with [a-z0-9]+:(\/\/)?, which belongs to a source/);
    },
  );
});

describe('a local store that does not exist', () => {
  it.each([['ls'], ['inspect', 'a/b:1'], ['explain', 'a/b:1'], ['rm', 'a/b:1'], ['verify'], ['gc']])(
    'is not created by gantry %s %s',
    async (...args) => {
      const state = join(folder, 'none');
      const failure = await failureOf(...args, '--state', state);
      expect(failure.message).toContain('there is no local store at');
      await expect(stat(state)).rejects.toThrow('ENOENT');
    },
  );

  it('ends a publish at once where no folder can be created', async () => {
    const { source } = await writeDirImage(join(folder, 'image'), {});
    const failure = await failureOf('publish', source, 'a/b:1', '--state', '/proc/nope');
    expect(failure.message).toContain('/proc/nope cannot be written');
  });
});

describe('gantry token create', () => {
  it('refuses a realm that the realm table does not have', async () => {
    const config = join(folder, 'wrangler.toml');
    await writeFile(config, '[[vars.REALMS]]\npattern = "team/*"\nrealm = "team"\n');
    const args = ['token', 'create', '--name', 'ci', '--config', config, '--realm'];
    expect(await failureOf(...args, 'nosuch')).toMatchObject({
      kind: 'usage',
      message: `REALMS in ${config} has no realm nosuch`,
    });
    expect((await runGantry(new Bucket(), [...args, 'team'])).code).toBe(0);
  });
});

describe('gantry key create --force', () => {
  it('keeps a copy of the key that it replaces', async () => {
    const key = join(folder, 'key.pem');
    const run = (...args: string[]) => runGantry(new Bucket(), args, { GANTRY_KEY: key });
    await run('key', 'create');
    const before = await readFile(key, 'utf8');
    const { stderr } = await run('key', 'create', '--force');
    const copy = /is kept in (\S+)/.exec(stderr)?.[1] ?? '';
    expect(await readFile(copy, 'utf8')).toBe(before);
    expect((await stat(copy)).mode & 0o077).toBe(0);
    expect(await readFile(key, 'utf8')).not.toBe(before);
  });
});

describe('gantry inspect --raw', () => {
  it('prints the published manifest of a tag, and refuses a repository', async () => {
    const bucket = new Bucket();
    const { source } = await writeDirImage(join(folder, 'raw'), {});
    const run = (...args: string[]) => runGantry(bucket, args, { GANTRY_KEY: join(folder, 'raw-key.pem') });
    await run('publish', source, 'a/b:1');
    const manifest = await readFile(join(folder, 'raw', 'manifest.json'), 'utf8');
    expect((await run('inspect', 'a/b:1', '--raw')).stdout).toBe(manifest);
    expect(await run('inspect', 'a/b', '--raw')).toMatchObject({ code: 2 });
  });
});

describe('gantry publish', () => {
  it('ends with the address to pull from', async () => {
    const { source } = await writeDirImage(join(folder, 'pull'), {});
    const variables = { GANTRY_KEY: join(folder, 'pull-key.pem') };
    const state = join(folder, 'state');
    const { stdout } = await runGantry(new Bucket(), ['publish', source, 'a/b:1', '--state', state], variables);
    expect(stdout).toContain('docker pull 127.0.0.1:8787/a/b:1  (while `gantry serve` runs)');
    const config = join(folder, 'public.toml');
    await writeFile(config, '[vars]\nPUBLIC_URL = "https://registry.example.com"\n');
    const args = ['publish', source, 'a/b:1', '--to', 's3://bucket', '--config', config];
    const configured = await runGantry(new Bucket(), args, variables);
    expect(configured.stdout).toContain('docker pull registry.example.com/a/b:1\n');
  });
});

describe('a narrow terminal', () => {
  it.each([40, 60, 80])('gets no line of a table that is longer than its %i columns', (width) => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const rows = [
      ['published', 'Docker schema 2 linux/arm64/v8', `${digest} from 0123456789ab`],
      ['missing', 'Docker schema 1', 'No schema 1 could be derived: the image has zstd layers.'],
      ['a-tag-with-a-long-name', '2026-11-28 08:00', '12.3 MB', 'linux/amd64, linux/arm64'],
    ];
    for (const line of tableLines(rows, width, false)) expect(line.length).toBeLessThanOrEqual(width);
  });
});

describe('relative paths', () => {
  it('begin where the caller of `npm run gantry` is', () => {
    expect(callersFolder({ npm_lifecycle_event: 'gantry', INIT_CWD: '/home/me/images' })).toBe('/home/me/images');
    expect(callersFolder({ npm_lifecycle_event: 'test', INIT_CWD: '/home/me/images' })).toBeUndefined();
    expect(callersFolder({})).toBeUndefined();
  });
});
