import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { parseRealmTable, RealmTableError, type RealmTable } from '../../registry/realms.ts';
import { messageOf } from '../../registry/values/error-message.ts';
import { CommandError } from './errors.ts';

const DEFAULT_FILE = 'wrangler.toml';

/**
 * Reads the Worker's realm table: `[vars] REALMS` of `wrangler.toml`. The default file may be missing. Throws {@link
 * CommandError}.
 */
export async function readRealmTable(file: string | undefined): Promise<RealmTable> {
  const path = file ?? DEFAULT_FILE;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (file === undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new CommandError(`${path} cannot be read`, {
      hint: 'Name the wrangler.toml of the Worker with --config.',
      cause,
    });
  }
  try {
    const { vars } = parse(text) as { vars?: { REALMS?: unknown; DEFAULT_ACCESS?: unknown } };
    return parseRealmTable(vars?.REALMS, vars?.DEFAULT_ACCESS);
  } catch (cause) {
    if (cause instanceof RealmTableError) throw new CommandError(`${path}: ${cause.message}`, { cause });
    throw new CommandError(`${path} is not TOML: ${messageOf(cause)}`, { cause });
  }
}
