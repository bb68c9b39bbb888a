import { createPrivateKey } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRobotTokenLines } from '../../../src/registry/robot-token.ts';
import { makeToken, parseExpiry } from '../../../src/publisher/commands/token.ts';
import { gantry } from '../../interop/programs.ts';

const NOW = new Date('2026-11-24T12:00:00Z');
let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-token-'));
  file = join(folder, 'tokens');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('--expires', () => {
  it.each([
    ['90d', '2027-02-22T12:00:00.000Z'],
    ['12h', '2026-11-25T00:00:00.000Z'],
    ['4w', '2026-12-22T12:00:00.000Z'],
    ['1y', '2027-11-24T12:00:00.000Z'],
    ['2027-02-22', '2027-02-22T00:00:00.000Z'],
    ['2027-02-22T10:00:00Z', '2027-02-22T10:00:00.000Z'],
  ])('%s', (text, expected) => {
    expect(parseExpiry(text, NOW)?.toISOString()).toBe(expected);
  });

  it('never', () => {
    expect(parseExpiry('never', NOW)).toBeNull();
  });

  it.each(['', '90', '90m', '-1d', '0d', '1.5d', '999999y', '2026-11-24', '2027-13-01', '22.02.2027', 'tomorrow'])(
    'is refused: "%s"',
    (text) => {
      expect(() => parseExpiry(text, NOW)).toThrow();
    },
  );
});

describe('a new token', () => {
  it('has a line that is read back, with what was asked for', () => {
    const { token, line } = makeToken('ci', ['team-b', 'team-a', 'team-b'], NOW, new Uint8Array(32));
    expect(token).toBe(`gantry_${'A'.repeat(43)}`);
    expect(line).toBe('ci team-b,team-a 2026-11-24T12:00:00Z sha256:Ltr_Nf0nzG67BnTYIyPX4AJdMOdpgCl38aGc0gHVi3o');
    expect(parseRobotTokenLines(line)).toHaveLength(1);
  });

  it.each([
    ['c i', ['team-a']],
    ['', ['team-a']],
    ['ci', ['Team']],
    ['ci', ['a,b']],
    ['ci', ['public']],
  ])('is not made for %j and %j', (name, realms) => {
    expect(() => makeToken(name, realms, null, new Uint8Array(32))).toThrow();
  });
});

describe('gantry token', () => {
  it('prints the token once, and only there; the file has its line, for its owner’s eyes', async () => {
    const first = await gantry([
      'token',
      'create',
      '--name',
      'ci',
      '--realm',
      'team-a',
      '--realm',
      'team-b',
      '--expires',
      '30d',
      '--file',
      file,
    ]);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^gantry_[\w-]{43}\n$/);
    expect(first.stderr).not.toContain(first.stdout.trim());
    const second = await gantry([
      'token',
      'create',
      '--name',
      'ci',
      '--realm',
      'team-a',
      '--expires',
      'never',
      '--file',
      file,
    ]);
    const lines = await readFile(file, 'utf8');
    expect(parseRobotTokenLines(lines).map(({ name, realms }) => [name, ...realms])).toEqual([
      ['ci', 'team-a', 'team-b'],
      ['ci', 'team-a'],
    ]);
    for (const { stdout } of [first, second]) expect(lines).not.toContain(stdout.trim());
    expect((await stat(file)).mode & 0o077).toBe(0);

    const checked = await gantry(['token', 'list', file, '--check', '--json'], { input: Buffer.from(second.stdout) });
    expect(JSON.parse(checked.stdout)).toMatchObject([
      { name: 'ci', realms: ['team-a'], expires: null, state: 'valid' },
    ]);
    expect(checked.stdout).not.toContain(second.stdout.trim());
  });

  it('prints token and line as JSON', async () => {
    const { stdout } = await gantry(['token', 'create', '--name', 'ci', '--realm', 'team-a', '--json']);
    const { token, line } = JSON.parse(stdout) as { token: string; line: string };
    await writeFile(join(folder, 'one'), line);
    expect(
      (await gantry(['token', 'list', join(folder, 'one'), '--check'], { input: Buffer.from(token) })).stdout,
    ).toMatch(/ci {4}team-a/);
  });

  it('shows which have expired', async () => {
    const ended = `old team-a 2020-01-01T00:00:00Z sha256:${'A'.repeat(43)}\n`;
    const { stdout } = await gantry(['token', 'list'], { input: Buffer.from(ended) });
    expect(stdout).toMatch(/^NAME +REALMS +EXPIRES +STATE\nold +team-a +2020-01-01T00:00:00.000Z +expired\n$/);
  });

  it('makes a signing key that is a P-256 key in PKCS#8', async () => {
    const { stdout } = await gantry(['token', 'key']);
    expect(stdout).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect(createPrivateKey(stdout).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
  });

  it.each([
    ['a bad expiry', ['create', '--name', 'ci', '--realm', 'team-a', '--expires', 'soon'], 2, /--expires soon/],
    ['no realm', ['create', '--name', 'ci'], 2, /--realm/],
    ['a file that is not there', ['list', '/nonexistent/tokens'], 1, /cannot be read/],
    [
      'a file that cannot be written',
      ['create', '--name', 'ci', '--realm', 'team-a', '--file', '/nonexistent/tokens'],
      1,
      /No token was created/,
    ],
  ])('says what to do about %s', async (_, args, code, message) => {
    const done = await gantry(['token', ...args]);
    expect(done).toMatchObject({ code, stdout: '' });
    expect(done.stderr).toMatch(message);
  });

  it('does not show a secret that stands where a line should', async () => {
    const { token } = makeToken('ci', ['team-a'], null, new Uint8Array(32).fill(5));
    const done = await gantry(['token', 'list'], { input: Buffer.from(token) });
    expect(done.code).toBe(1);
    expect(done.stderr + done.stdout).not.toContain(token);
  });
});
