/**
 * Pulp's Python packages, installed once for each state of `requirements.txt`, and a database with Pulp's tables, made
 * once beside them.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { missingPrograms, must } from '../programs.ts';

/** In the order in which they are installed: the first has what the second is built with. */
const REQUIREMENTS = ['requirements-build.txt', 'requirements.txt'].map(
  (file) => new URL(file, import.meta.url).pathname,
);

/** Where Debian keeps PostgreSQL's server programs: they are not on `PATH`. */
const POSTGRES = '/usr/lib/postgresql';

/** What a Pulp needs and this machine does not have, by name. Throws, naming them, where `GANTRY_INTEROP=required`. */
export async function missingForPulp(...more: readonly string[]): Promise<readonly string[]> {
  const missing = missingPrograms('python3', 'redis-server', 'nginx', 'openssl', 'skopeo', ...more);
  if ((await postgresPrograms()) !== null) return missing;
  if (process.env.GANTRY_INTEROP === 'required')
    throw new Error('GANTRY_INTEROP=required, but not installed: postgresql');
  return [...missing, 'postgresql'];
}

/** The folder with `initdb` and `postgres` of the newest version; null if there is none. */
export async function postgresPrograms(): Promise<string | null> {
  const versions = await readdir(POSTGRES).catch(() => []);
  const newest = versions.filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a))[0];
  const programs = newest === undefined ? null : join(POSTGRES, newest, 'bin');
  return programs !== null && existsSync(join(programs, 'initdb')) ? programs : null;
}

/** The folder of an environment that is kept from run to run. */
export interface PulpEnvironment {
  readonly folder: string;
  /** Its Python: every script of the environment is run by it, since the folder was moved after it was made. */
  readonly python: string;
  /** The path of one of its scripts, as an argument for {@link python}. */
  script(name: string): string;
}

/**
 * Gives the environment below `$XDG_CACHE_HOME`; installs it where it is not there yet, which takes about half a
 * minute.
 */
export async function openEnvironment(): Promise<PulpEnvironment> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gantry-tests');
  const version = (await must('python3', ['--version'])).trim();
  const texts = await Promise.all(REQUIREMENTS.map((file) => readFile(file)));
  const hash = createHash('sha256').update(version).update(Buffer.concat(texts)).digest('hex').slice(0, 16);
  const folder = join(cache, `pulp3-${hash}`);
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true });
    await makeOnce(folder, async (temporary) => {
      await must('python3', ['-m', 'venv', temporary]);
      const pip = ['-m', 'pip', '--disable-pip-version-check', '--quiet'];
      // Without isolation, which would fetch what builds a package without looking at hashes.
      const install = [...pip, 'install', '--require-hashes', '--no-build-isolation', '--requirement'];
      for (const file of REQUIREMENTS) await must(join(temporary, 'bin', 'python'), [...install, file]);
    });
  }
  return { folder, python: join(folder, 'bin', 'python'), script: (name) => join(folder, 'bin', name) };
}

/**
 * Makes a folder under another name and renames it when it is complete, so that nobody sees half of it. The first of
 * several wins.
 */
export async function makeOnce(folder: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = await mkdtemp(`${folder}-`);
  try {
    await make(temporary);
    await rename(temporary, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
