/** What a stranger wrote into an image commands no terminal. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandError } from '../../../src/publisher/cli/errors.ts';
import { describeFailure, failureJson, failureLines } from '../../../src/publisher/cli/failure.ts';
import { jsonText, paint, plainLine, plainText, tableLines } from '../../../src/publisher/cli/terminal-text.ts';
import { titleOf } from '../../attacks.ts';
import { writeDirImage, writeDirList } from '../dir-image.ts';
import { Bucket } from '../gc-bucket.ts';
import { runGantry } from './command-line.ts';

/** Escape sequences with 7 and 8 bits, a title, a bell, an override of direction. */
const EVIL = 'a\u001b[2J\u001b]0;title\u0007\u009b31m\u202egpj\u2066\r\u007f\u0000';
/** Everything but the line break that ends a line. */
const CONTROLS = /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-terminal-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe(titleOf('terminal-commanded'), () => {
  const bucket = new Bucket();
  const gantry = (...args: readonly string[]) => runGantry(bucket, args, { GANTRY_KEY: join(folder, 'key.pem') });

  beforeAll(async () => {
    const platform = { os: EVIL, architecture: EVIL, variant: EVIL };
    const image = await writeDirImage(join(folder, 'image'), { platform });
    const list = await writeDirList(join(folder, 'list'), [platform]);
    for (const [source, tag] of [
      [image.source, 'image'],
      [list.source, 'list'],
    ] as const) {
      const { stdout, stderr, code } = await gantry('publish', source, `a/b:${tag}`);
      expect(code).toBe(0);
      expect(stdout + stderr).not.toMatch(CONTROLS);
    }
  });

  test.each([
    ['ls', 'a/b'],
    ['inspect', 'a/b'],
    ['inspect', 'a/b:image'],
    ['inspect', 'a/b:list'],
    ['explain', 'a/b:list'],
    ['explain', 'a/b:list', '--accept', '*/*'],
    ['verify', '--json'],
  ])('is shown by gantry %s %s without them', async (...args) => {
    const { stdout, stderr } = await gantry(...args);
    expect(stdout).not.toBe('');
    expect(stdout + stderr).not.toMatch(CONTROLS);
  });

  test('is exact in JSON, whose text has no control character either', async () => {
    const { stdout } = await gantry('ls', 'a/b', '--json');
    expect(stdout).not.toMatch(CONTROLS);
    expect(stdout).toContain(String.raw`\u001b[2J`);
    const [tag] = JSON.parse(stdout) as { platforms: string[] }[];
    expect(tag?.platforms[0]).toContain(EVIL);
  });
});

test('errors, their causes, hints and stacks', () => {
  const errors = [new CommandError(EVIL, { hint: EVIL, cause: new Error(`cause ${EVIL}`) }), new TypeError(EVIL)];
  for (const error of errors) {
    const failure = describeFailure(error);
    expect(failureLines(failure).join('\n')).not.toMatch(CONTROLS);
    expect(failureJson(failure)).not.toMatch(CONTROLS);
    expect((JSON.parse(failureJson(failure)) as { error: { message: string } }).error.message).toBe(EVIL);
  }
});

describe('text', () => {
  test('of a message cannot begin a line of its own', () => {
    expect(plainText('name\nerror: forged')).toBe('name error: forged');
  });

  test('keeps letters of every script', () => {
    expect(plainText('größe 日本語 עברית 🐳')).toBe('größe 日本語 עברית 🐳');
  });

  test('keeps the colours that we paint and no others', () => {
    const isTTY = Object.getOwnPropertyDescriptor(process.stdout, 'isTTY');
    const { NO_COLOR, NODE_DISABLE_COLORS, FORCE_COLOR } = process.env;
    Object.defineProperty(process.stdout, 'isTTY', { value: true, configurable: true });
    delete process.env.NO_COLOR;
    delete process.env.NODE_DISABLE_COLORS;
    process.env.FORCE_COLOR = '1';
    try {
      const green = paint('good', 'published');
      expect(green).toContain('\u001b[32m');
      expect(plainLine(`${green} ${EVIL}`)).toBe(`${green} ${plainText(EVIL)}`);
      expect(plainLine(paint('good', EVIL))).not.toContain('\u001b[2J');
      expect(plainLine('\u001b[8mhidden\u001b[28m')).not.toContain('\u001b');
      expect(plainLine('\u001b[32mopen')).not.toContain('\u001b');
      expect(tableLines([[green, 'x']], 80)).toEqual([`${green}  x`]);
    } finally {
      if (isTTY === undefined) Reflect.deleteProperty(process.stdout, 'isTTY');
      else Object.defineProperty(process.stdout, 'isTTY', isTTY);
      for (const [name, value] of Object.entries({ NO_COLOR, NODE_DISABLE_COLORS, FORCE_COLOR })) {
        if (value === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = value;
      }
    }
  });

  test('of JSON is the same value', () => {
    const value = { [EVIL]: [EVIL, 'größe'] };
    expect(JSON.parse(jsonText(value, 2))).toEqual(value);
    expect(jsonText('größe')).toBe('"größe"');
  });
});
