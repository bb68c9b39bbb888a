import { readFile } from 'node:fs/promises';
import { CommandError } from './errors.ts';

/** Reads a text file. `hint`: what to do if that fails. Throws {@link CommandError}. */
export async function readTextFile(path: string, hint?: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CommandError(`${path} cannot be read`, { cause, ...(hint !== undefined && { hint }) });
  }
}
