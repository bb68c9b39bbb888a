/**
 * Robot tokens: secrets for programs. The registry stores one line with a hash for each token.
 *
 * ```
 * ci-1 team-a,team-b 2027-02-22T00:00:00Z sha256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU
 * ```
 * A line has name, realms, expiry (or `never`) and hash. Lines are in the secret `TOKENS`, and in `TOKENS_…` because a
 * secret is limited to 5 kB. `#` begins a comment line.
 *
 * The hash is SHA-256 in base64url. A slow hash (bcrypt, argon2) protects weak secrets. A robot token has 256 random
 * bits, which cannot be guessed, so a slow hash would only make every request expensive.
 */

import { toBase64Url } from './base64.ts';

/** The prefix of every robot token. Scanners for leaked secrets recognize it. */
export const ROBOT_TOKEN_PREFIX = 'gantry_';

/** Random bytes of a token. */
export const ROBOT_TOKEN_BYTES = 32;

/** The stored line of one token. */
export interface RobotTokenLine {
  /** The holder: shown by `gantry token list`, and the subject of Bearer tokens. */
  readonly name: string;
  /** Realms that the token may read. The Worker refuses a realm that is not in the realm table. */
  readonly realms: readonly string[];
  /** When the token expires; null for never. */
  readonly expires: Date | null;
  /** SHA-256 of the whole token text: base64url without padding, 43 characters. */
  readonly hash: string;
}

/** An invalid token line. The message has the line's number, never its text, which may be a secret. */
export class RobotTokenError extends Error {
  override readonly name = 'RobotTokenError';
}

const TOKEN = /^gantry_[A-Za-z0-9_-]{43}$/;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$/;
const REALM = /^[a-z0-9]+(?:[-_.][a-z0-9]+)*$/;
const HASH = /^sha256:([A-Za-z0-9_-]{43})$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** Whether the text has the form of a robot token. It may still be unknown or expired. */
export function looksLikeRobotToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether the text can be the name of a token: letters, digits and `. _ @ -`, at most 64. */
export function isRobotTokenName(text: string): boolean {
  return NAME.test(text);
}

/** Makes a token from {@link ROBOT_TOKEN_BYTES} random bytes. */
export function robotTokenText(random: Uint8Array): string {
  if (random.length !== ROBOT_TOKEN_BYTES)
    throw new RobotTokenError(`a token is made of ${String(ROBOT_TOKEN_BYTES)} random bytes`);
  return ROBOT_TOKEN_PREFIX + toBase64Url(random);
}

/** Formats a line. */
export function formatRobotTokenLine({ name, realms, expires, hash }: RobotTokenLine): string {
  const expiry = expires === null ? 'never' : expires.toISOString().replace(/\.\d{3}Z$/, 'Z');
  return `${name} ${realms.join(',')} ${expiry} sha256:${hash}`;
}

/**
 * Reads the lines of a secret. Empty lines and comments are skipped. Throws {@link RobotTokenError} on any other line:
 * reading it partly could give a token too many rights.
 */
export function parseRobotTokenLines(text: string, where = 'TOKENS'): RobotTokenLine[] {
  return text.split(/\r?\n/).flatMap((raw, index) => {
    const line = raw.trim();
    return line === '' || line.startsWith('#') ? [] : [parseLine(line, `${where}, line ${String(index + 1)}`)];
  });
}

function parseLine(line: string, where: string): RobotTokenLine {
  const [name = '', realmList = '', expiry = '', hashText = '', ...rest] = line.split(/\s+/);
  const fail = (what: string): never => {
    throw new RobotTokenError(
      `${where}: ${what}. A line is "name realm[,realm…] expiry sha256:hash", as \`gantry token create\` prints it.`,
    );
  };
  if (rest.length > 0) fail('there are more than four parts');
  if (!NAME.test(name)) fail('the name is not letters, digits and ". _ @ -"');
  const realms = realmList.split(',');
  if (!realms.every((realm) => REALM.test(realm))) fail('the realms are not names of realms with "," between them');
  const expires = expiry === 'never' ? null : new Date(TIME.test(expiry) ? expiry : NaN);
  if (expires !== null && Number.isNaN(expires.getTime()))
    fail('the expiry is neither "never" nor a time such as 2027-02-22T00:00:00Z');
  const hash = HASH.exec(hashText)?.[1] ?? fail('the hash is not "sha256:" and 43 characters of base64url');
  return { name, realms, expires, hash };
}
