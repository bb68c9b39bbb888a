import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import type { Command } from 'commander';
import {
  formatRobotTokenLine,
  isRobotTokenName,
  looksLikeRobotToken,
  parseRobotTokenLines,
  ROBOT_TOKEN_BYTES,
  RobotTokenError,
  type RobotTokenLine,
  robotTokenText,
} from '../../registry/robot-token.ts';
import { parseRealmTable, RealmTableError } from '../../registry/realms.ts';
import { CommandError, usageError } from '../cli/errors.ts';
import { readTextFile } from '../cli/text-file.ts';
import { readRealmTable } from '../cli/realm-table.ts';
import { formatCount, printJson, printLines, printMessage, tableLines } from '../cli/terminal-text.ts';

const DAY = 86_400_000;

/** Milliseconds of each unit of `--expires`. */
const UNITS = { h: 3_600_000, d: DAY, w: 7 * DAY, y: 365 * DAY } as const satisfies Record<string, number>;

/**
 * Adds `gantry token` and its verbs. None of them contacts a registry: its tokens are the secret TOKENS, set at
 * deployment.
 */
export function register(program: Command): void {
  const token = program
    .command('token')
    .description('create and list robot tokens, and create the key that signs Bearer tokens')
    .addHelpText(
      'after',
      `
Examples:
  $ gantry token create --name ci --realm team --file tokens
  $ gantry token list tokens
  $ gantry token key > token-signing-key.pem`,
    );
  token
    .command('create')
    .description('create a token; it is printed once, and the registry keeps a line with its hash')
    .requiredOption('--name <name>', 'the name of its user: letters, digits and . _ @ -')
    .requiredOption(
      '--realm <realm>',
      'a realm that it can read (repeat the option for several)',
      (realm: string, before: readonly string[] | undefined) => [...(before ?? []), realm],
    )
    .option(
      '--expires <when>',
      'its lifetime (90d, 12h, 4w, 1y), its last moment (2027-02-22 or 2027-02-22T00:00:00Z), or never',
      '90d',
    )
    .option('--file <file>', 'append the line to this file instead of printing it')
    .option('--config <file>', 'the wrangler.toml with the realm table (default: ./wrangler.toml)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe lines of all tokens are the secret TOKENS: `wrangler secret put TOKENS < FILE`.' +
        '\nA name can have several tokens, so that a new one can replace an old one without a gap.',
    )
    .action(create);
  token
    .command('list')
    .description('list the tokens of a file, and which have expired')
    .argument('[file]', 'the file with the lines (default: standard input)')
    .option('--check', 'read a token from standard input and show its line')
    .option('--json', 'print JSON')
    .action(list);
  token
    .command('key')
    .description('create a key for the secret TOKEN_SIGNING_KEY (ES256, PKCS#8 PEM)')
    .addHelpText(
      'after',
      '\nTo rotate keys without a gap, put the new key before the old one in the secret,' +
        '\nand remove the old one ten minutes later.',
    )
    .action(() => {
      const { privateKey } = generateKeyPairSync('ec', {
        namedCurve: 'P-256',
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
        publicKeyEncoding: { type: 'spki', format: 'pem' },
      });
      process.stdout.write(privateKey);
    });
}

interface CreateOptions {
  readonly name: string;
  readonly realm: readonly string[];
  readonly expires: string;
  readonly file?: string;
  readonly config?: string;
  readonly json?: true;
}

/**
 * Refuses realms that the realm table does not have. Without any rule in the default file it only warns: the Worker may
 * be configured elsewhere.
 */
async function checkRealms(realms: readonly string[], config: string | undefined): Promise<void> {
  const table = await readRealmTable(config);
  const known = new Set<string>(table.map(({ realm }) => realm));
  const strange = realms.filter((realm) => !known.has(realm));
  if (strange.length === 0) return;
  const path = config ?? 'wrangler.toml';
  if (known.size > 0 || config !== undefined)
    throw usageError(
      `REALMS in ${path} has no realm ${strange.join(', ')}`,
      known.size > 0
        ? `It has: ${[...known].join(', ')}. Add a rule first, or name another file with --config.`
        : 'Add a rule first, or name another file with --config.',
    );
  printMessage(
    `warning: REALMS in ${path} has no rule yet; the Worker refuses a token for a realm that it does not have`,
  );
}

async function create({ name, realm, expires, file, config, json }: CreateOptions): Promise<void> {
  const { token, line } = makeToken(name, realm, parseExpiry(expires, new Date()), randomBytes(ROBOT_TOKEN_BYTES));
  await checkRealms(realm, config);
  if (file !== undefined) await append(file, line);
  if (json === true) printJson({ token, line });
  else process.stdout.write(file === undefined ? `${token}\n${line}\n` : `${token}\n`);
  process.stderr.write(
    file === undefined
      ? 'The first line is the token: it cannot be shown again. Add the second line to the secret TOKENS.\n'
      : `This is the token: it cannot be shown again. Its line was added to ${file}.\n` +
          `Activate it with: wrangler secret put TOKENS < ${file}\n`,
  );
}

/**
 * A token made of random bytes, and its line for the secret TOKENS. Throws {@link CommandError} on a bad name or realm.
 */
export function makeToken(
  name: string,
  realms: readonly string[],
  expires: Date | null,
  random: Uint8Array,
): { readonly token: string; readonly line: string } {
  if (!isRobotTokenName(name))
    throw usageError(`"${name}" is not a valid token name`, 'Use letters, digits and . _ @ -, at most 64 characters.');
  try {
    // The parser of the realm table checks the syntax of realms.
    parseRealmTable(realms.map((realm, index) => ({ pattern: `r${String(index)}`, realm })));
  } catch (cause) {
    if (!(cause instanceof RealmTableError)) throw cause;
    throw usageError(
      `"${realms.join(', ')}": a realm consists of lower-case letters and digits, with "-", "_" or "." between them`,
      'Use a realm of REALMS in wrangler.toml.',
    );
  }
  if (realms.includes('public'))
    throw usageError('the realm "public" needs no token', 'Use a protected realm of REALMS in wrangler.toml.');
  const token = robotTokenText(random);
  return { token, line: formatRobotTokenLine({ name, realms: [...new Set(realms)], expires, hash: hashOf(token) }) };
}

/**
 * Parses `--expires`: a duration from `now` (`90d`), a day or time in UTC, or `never` (null). Throws {@link
 * CommandError} on anything else, and on a time in the past.
 */
export function parseExpiry(text: string, now: Date): Date | null {
  if (text === 'never') return null;
  const span = /^(\d{1,6})([hdwy])$/.exec(text);
  const unit = Object.entries(UNITS).find(([letter]) => letter === span?.[2])?.[1];
  const date =
    span !== null && unit !== undefined
      ? new Date(now.getTime() + Number(span[1]) * unit)
      : new Date(/^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}Z)?$/.test(text) ? text : NaN);
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999)
    throw usageError(
      `--expires ${text} is not a valid time`,
      'Write 90d, 12h, 4w, 1y, a day such as 2027-02-22, or never.',
    );
  if (date <= now) throw usageError(`--expires ${text} is in the past`);
  return date;
}

async function list(file: string | undefined, { check, json }: { check?: true; json?: true }): Promise<void> {
  if (check === true && file === undefined)
    throw usageError(
      '--check reads the token from standard input, so the lines must be in a file',
      'Write `gantry token list FILE --check < TOKEN`.',
    );
  const lines = parseLines(
    file === undefined
      ? await readText(process.stdin)
      : await readTextFile(file, 'Name the file with the lines of the secret TOKENS.'),
    file ?? 'standard input',
  );
  const now = new Date();
  const checked = check === true ? hashOf(tokenOf(await readText(process.stdin))) : '';
  const shown = check === true ? lines.filter(({ hash }) => hash === checked) : lines;
  if (check === true && shown.length === 0)
    throw new CommandError('the token has no line in the file', {
      hint: 'Its line was never added, or it was removed.',
    });
  const rows = shown.map(({ name, realms, expires, hash }) => ({
    name,
    realms,
    expires: expires?.toISOString() ?? null,
    state: stateOf(expires, now),
    hash,
  }));
  if (json === true) printJson(rows);
  else
    printLines(
      tableLines(
        [
          ['NAME', 'REALMS', 'EXPIRES', 'STATE'],
          ...rows.map((row) => [row.name, row.realms.join(','), row.expires ?? 'never', row.state]),
        ],
        Infinity,
      ),
    );
}

function stateOf(expires: Date | null, now: Date): string {
  if (expires === null) return 'valid';
  const days = Math.floor((expires.getTime() - now.getTime()) / DAY);
  return days < 0 ? 'expired' : days <= 14 ? `expires in ${formatCount(days, 'day')}` : 'valid';
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

function tokenOf(input: string): string {
  const token = input.trim();
  if (!looksLikeRobotToken(token))
    throw new CommandError('standard input contains no token', {
      hint: 'A token is "gantry_" followed by 43 characters.',
    });
  return token;
}

function parseLines(text: string, where: string): readonly RobotTokenLine[] {
  try {
    return parseRobotTokenLines(text, where);
  } catch (cause) {
    if (!(cause instanceof RobotTokenError)) throw cause;
    throw new CommandError(cause.message, { cause });
  }
}

async function append(file: string, line: string): Promise<void> {
  try {
    await appendFile(file, `${line}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new CommandError(`${file} cannot be written`, { cause, hint: 'No token was created.' });
  }
}
