import { describe, expect, it } from 'vitest';
import { toBase64Url } from '../../../src/registry/base64.ts';
import {
  formatRobotTokenLine,
  looksLikeRobotToken,
  parseRobotTokenLines,
  RobotTokenError,
  robotTokenText,
} from '../../../src/registry/robot-token.ts';
import { findRobotToken } from '../../../src/worker/access/tokens/robot-tokens.ts';

const NOW = new Date('2026-11-24T12:00:00Z');
const TOKEN = robotTokenText(new Uint8Array(32).fill(7));
const hashOf = async (text: string): Promise<string> =>
  toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))));

describe('a robot token', () => {
  it('is a prefix and 256 bits of base64url', () => {
    expect(TOKEN).toBe(`gantry_${btoa('\x07'.repeat(32)).replaceAll('+', '-').replaceAll('/', '_').replace('=', '')}`);
    expect(looksLikeRobotToken(TOKEN)).toBe(true);
    for (const text of [
      '',
      'gantry_',
      TOKEN.slice(0, -1),
      `${TOKEN}A`,
      TOKEN.replace('gantry_', 'Gantry_'),
      `${TOKEN}\n`,
    ]) {
      expect(looksLikeRobotToken(text)).toBe(false);
    }
  });

  it.each([0, 1, 2, 3, 31, 32, 64])('is encoded as btoa does: %i bytes', (length) => {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    const expected = btoa(String.fromCharCode(...bytes))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '');
    expect(toBase64Url(bytes)).toBe(expected);
  });
});

describe('a token line', () => {
  it('comes back as it was written', async () => {
    const lines = [
      {
        name: 'ci-1',
        realms: ['team-a', 'team-b'],
        expires: new Date('2027-02-22T00:00:00Z'),
        hash: await hashOf(TOKEN),
      },
      { name: 'Robot@x.y', realms: ['team-a'], expires: null, hash: await hashOf('x') },
    ];
    expect(parseRobotTokenLines(`# mine\r\n\n${lines.map(formatRobotTokenLine).join('\n')}\n`)).toEqual(lines);
  });

  it.each([
    ['a token in place of the line', TOKEN],
    ['a token in place of the hash', `ci team-a never ${TOKEN}`],
    ['a bad name', `c:i team-a never sha256:${'A'.repeat(43)}`],
    ['no realm', `ci , never sha256:${'A'.repeat(43)}`],
    ['a date that is none', `ci team-a 2027-13-01T00:00:00Z sha256:${'A'.repeat(43)}`],
    ['a date without a time', `ci team-a 2027-01-01 sha256:${'A'.repeat(43)}`],
    ['a short hash', `ci team-a never sha256:${'A'.repeat(42)}`],
    ['a fifth part', `ci team-a never sha256:${'A'.repeat(43)} more`],
  ])('is refused, with its number and without its text: %s', (_, line) => {
    const read = (): unknown => parseRobotTokenLines(`# one\n${line}`, 'TOKENS_2');
    expect(read).toThrow(RobotTokenError);
    expect(read).toThrow(/^TOKENS_2, line 2:/);
    expect(read).not.toThrow(line);
  });
});

describe('finding the line of a token', () => {
  it('finds it among several, and not when its time is over', async () => {
    const other = { name: 'other', realms: ['b'], expires: null, hash: await hashOf('something else') };
    const line = { name: 'ci', realms: ['a'], expires: new Date('2026-11-24T12:00:01Z'), hash: await hashOf(TOKEN) };
    expect(await findRobotToken([other, line, other], TOKEN, NOW)).toBe(line);
    expect(await findRobotToken([other, line], TOKEN, new Date('2026-11-24T12:00:01Z'))).toBeNull();
    expect(await findRobotToken([other], TOKEN, NOW)).toBeNull();
    expect(await findRobotToken([], TOKEN, NOW)).toBeNull();
  });

  it('does not take the hash, or anything that is no token, for a token', async () => {
    const hash = await hashOf('hunter2');
    const line = { name: 'ci', realms: ['a'], expires: null, hash };
    expect(await findRobotToken([line], 'hunter2', NOW)).toBeNull();
    expect(await findRobotToken([line], hash, NOW)).toBeNull();
  });
});
