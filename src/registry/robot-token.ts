/**
 * Robot tokens: a secret for a program, of which the registry keeps one line with a hash.
 *
 * ```
 * ci-1 team-a,team-b 2027-02-22T00:00:00Z sha256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU
 * ```
 * Name, realms, expiry (or `never`), hash. Lines stand in the secret `TOKENS` (and `TOKENS_…`, since a secret ends at 5 kB); `#` begins a comment line.
 *
 * The hash is one SHA-256, base64url. A slow hash (bcrypt, argon2) makes guessing a weak secret dear; a robot token is 256 random bits that nobody can guess, so all
 * that it would do is make every request dear.
 */

import { toBase64Url } from './base64.ts';

/** What every robot token begins with, so that scanners for leaked secrets know it. */
export const ROBOT_TOKEN_PREFIX = 'gantry_';

/** Random bytes of a token. */
export const ROBOT_TOKEN_BYTES = 32;

/** What is kept of one token. */
export interface RobotTokenLine {
  /** Who it was made for; it shows in `gantry token list` and as the subject of Bearer tokens. */
  readonly name: string;
  /** Realms it opens, as written: one that the realm table does not know opens nothing. */
  readonly realms: readonly string[];
  /** From then on it is refused; null for never. */
  readonly expires: Date | null;
  /** SHA-256 of the whole token text: base64url without padding, 43 characters. */
  readonly hash: string;
}

/** A token line that cannot be read. The message has the line's number, never its text: a secret pasted in the wrong place stays out of logs. */
export class RobotTokenError extends Error {
  override readonly name = 'RobotTokenError';
}

const TOKEN = /^gantry_[A-Za-z0-9_-]{43}$/;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$/;
const REALM = /^[a-z0-9]+(?:[-_.][a-z0-9]+)*$/;
const HASH = /^sha256:([A-Za-z0-9_-]{43})$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** Whether the text has the form of a robot token (which says nothing of its being one). */
export function looksLikeRobotToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether the text can be the name of a token: letters, digits and `. _ @ -`, at most 64. */
export function isRobotTokenName(text: string): boolean {
  return NAME.test(text);
}

/** The token made of {@link ROBOT_TOKEN_BYTES} random bytes. */
export function robotTokenText(random: Uint8Array): string {
  if (random.length !== ROBOT_TOKEN_BYTES)
    throw new RobotTokenError(`a token is made of ${String(ROBOT_TOKEN_BYTES)} random bytes`);
  return ROBOT_TOKEN_PREFIX + toBase64Url(random);
}

/** Writes a line. */
export function formatRobotTokenLine({ name, realms, expires, hash }: RobotTokenLine): string {
  return `${name} ${realms.join(',')} ${expires === null ? 'never' : expires.toISOString().replace(/\.\d{3}Z$/, 'Z')} sha256:${hash}`;
}

/** Reads the lines of a secret. Empty lines and comments are skipped. Throws {@link RobotTokenError} on anything else, since a line half understood could open too much. */
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
