/** Credentials from standard input: other users of the machine see the command line, and shells keep it. */
import type { Readable } from 'node:stream';
import { usageError } from './errors.ts';

/** The most bytes that are read. */
const MAX_BYTES = 64 * 1024;

/** The warning in the help of every option that takes a password. */
export const VISIBLE = 'other users see it in the process list: prefer';

/** Reads `USER:PASSWORD`; a line break at the end is left out. Throws {@link CommandError} (usage). */
export async function readCreds(input: Readable = process.stdin): Promise<string> {
  const creds = (await readAll(input, '--creds-stdin')).replace(/\r?\n$/, '');
  if (!/^[^:\s][^:\r\n]*:[^\r\n]*$/.test(creds))
    throw usageError(
      'standard input is not USER:PASSWORD',
      'Write: printf %s "$USER:$PASSWORD" | gantry … --creds-stdin',
    );
  return creds;
}

/**
 * Reads lines `HOST USER:PASSWORD`, as host → `USER:PASSWORD`: each registry gets only its own. Empty lines and lines
 * that begin with `#` are skipped. Throws {@link CommandError} (usage); messages do not quote a line.
 */
export async function readCredsByHost(input: Readable = process.stdin): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const [index, line] of (await readAll(input, '--creds-stdin')).split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, host, creds] = /^(\S+)[ \t]+([^:\s][^:]*:.*)$/.exec(line) ?? [];
    if (host === undefined || creds === undefined || found.has(host)) {
      throw usageError(
        `line ${String(index + 1)} of standard input is not HOST USER:PASSWORD, or repeats a host`,
        'Write one line for each registry, with the host as in image names, e.g. docker.io.',
      );
    }
    found.set(host, creds);
  }
  if (found.size === 0) throw usageError('standard input contains no credentials', 'Write lines HOST USER:PASSWORD.');
  return found;
}

async function readAll(input: Readable, option: string): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MAX_BYTES)
      throw usageError(`standard input is longer than ${String(MAX_BYTES)} bytes, too long for ${option}`);
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}
