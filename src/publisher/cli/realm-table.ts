import { existsSync } from 'node:fs';
import { parse } from 'smol-toml';
import { parseRealmTable, RealmTableError, type RealmTable } from '../../registry/realms.ts';
import { messageOf } from '../../registry/values/error-message.ts';
import { objectOf } from '../../registry/values/json.ts';
import { CommandError } from './errors.ts';
import { readTextFile } from './text-file.ts';

const DEFAULT_FILE = 'wrangler.toml';

/**
 * Reads the Worker's realm table: `[vars] REALMS` of `wrangler.toml`. The default file may be missing. Throws {@link
 * CommandError}.
 */
export async function readRealmTable(file: string | undefined): Promise<RealmTable> {
  if (file === undefined && !existsSync(DEFAULT_FILE)) return [];
  const path = file ?? DEFAULT_FILE;
  const { REALMS, DEFAULT_ACCESS } = objectOf(objectOf(await readWranglerToml(path)).vars);
  try {
    return parseRealmTable(REALMS, DEFAULT_ACCESS);
  } catch (cause) {
    if (!(cause instanceof RealmTableError)) throw cause;
    throw new CommandError(`${path}: ${cause.message}`, { cause });
  }
}

/** Reads a wrangler.toml. Throws {@link CommandError}. */
export async function readWranglerToml(path: string): Promise<unknown> {
  const text = await readTextFile(path, 'Name the wrangler.toml of the Worker with --config.');
  try {
    return parse(text);
  } catch (cause) {
    throw new CommandError(`${path} is not TOML: ${messageOf(cause)}`, { cause });
  }
}
