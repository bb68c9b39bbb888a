/** The file with the key that signs schema 1 manifests. It is created on first use, and readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  KeyError,
  keyFromRandom,
  type PrivateKey,
  readPrivateKey,
  writePrivateKey,
} from '../../manifest/signing/key.ts';
import { CommandError } from '../cli/errors.ts';

/** Reads the key, or creates an ES256 key if there is none; `made` reports which. Throws {@link CommandError}. */
export async function loadOrMakeKey(path: string): Promise<{ readonly key: PrivateKey; readonly made: boolean }> {
  const there = await loadKey(path);
  if (there !== null) return { key: there, made: false };
  const key = newKey();
  if ((await writeKeyFile(path, writePrivateKey(key), 'absent')).written) return { key, made: true };
  // Another process created it first: there is only one key.
  const theirs = await loadKey(path);
  if (theirs === null) throw new CommandError(`the signing key ${path} has disappeared`);
  return { key: theirs, made: false };
}

/** Reads the key; null if there is no file. Throws {@link CommandError} if it cannot be read or is not a key. */
export async function loadKey(path: string): Promise<PrivateKey | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CommandError(`the signing key ${path} cannot be read`, {
      cause,
      hint: 'Fix its permissions, or name another file in GANTRY_KEY.',
    });
  }
  return parseKey(text, path);
}

/** Reads a key file's text. Throws {@link CommandError}. */
export function parseKey(text: string, path: string): PrivateKey {
  try {
    return readPrivateKey(text);
  } catch (cause) {
    if (!(cause instanceof KeyError)) throw cause;
    throw new CommandError(`${path} is not a valid signing key: ${cause.message}`, {
      cause,
      hint: 'A key is PEM ("EC PRIVATE KEY" or "RSA PRIVATE KEY") or a JWK; `gantry key create` makes one.',
    });
  }
}

/** A new P-256 key. */
export function newKey(): PrivateKey {
  for (;;) {
    const key = keyFromRandom(randomBytes(32));
    if (key !== null) return key;
  }
}

/**
 * Writes a key file with mode 0600, atomically. With `absent`, an existing file stays and `written` is false. With
 * `replace`, an existing file is kept beside the new one; `copy` is the path of that copy. Throws {@link CommandError}.
 */
export async function writeKeyFile(
  path: string,
  text: string,
  over: 'absent' | 'replace',
): Promise<{ readonly written: boolean; readonly copy: string | null }> {
  const draft = join(dirname(path), `.${randomBytes(6).toString('hex')}.pem`);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(draft, 0o600);
    if (over === 'replace') {
      const copy = await keepCopy(path);
      await rename(draft, path);
      return { written: true, copy };
    }
    await link(draft, path);
    return { written: true, copy: null };
  } catch (cause) {
    if (over === 'absent' && (cause as NodeJS.ErrnoException).code === 'EEXIST') return { written: false, copy: null };
    throw new CommandError(`the signing key cannot be written to ${path}`, {
      cause,
      hint: 'Name a file that can be written in GANTRY_KEY.',
    });
  } finally {
    await rm(draft, { force: true });
  }
}

/** Gives the file a second name, `PATH.TIME.old`, so that it outlives a replacement; null if there is no file. */
async function keepCopy(path: string): Promise<string | null> {
  const copy = `${path}.${new Date().toISOString().replace(/[:.]/g, '-')}.old`;
  try {
    await link(path, copy);
    return copy;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whether other users than the owner can read the file. */
export async function isReadableByOthers(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o077) !== 0;
}
