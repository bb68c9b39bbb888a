import { toBase64Url } from '../../../registry/base64.ts';
import { looksLikeRobotToken, type RobotTokenLine } from '../../../registry/robot-token.ts';

/**
 * The entry of a presented token; null if it is unknown or expired. All entries are compared, each in constant time, so
 * that the time reveals neither how much of a hash matched nor its position.
 */
export async function findRobotToken(
  lines: readonly RobotTokenLine[],
  presented: string,
  now: Date,
): Promise<RobotTokenLine | null> {
  if (!looksLikeRobotToken(presented)) return null;
  const hash = toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(presented))));
  let found: RobotTokenLine | null = null;
  for (const line of lines) if (equal(line.hash, hash)) found = line;
  return found === null || (found.expires !== null && found.expires <= now) ? null : found;
}

function equal(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}
