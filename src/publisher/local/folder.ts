/**
 * The layout of a state folder. `v3` belongs to Miniflare, as in `wrangler dev`; `gantry` belongs to gantry.
 *
 * ```
 * v3/                     objects (Miniflare)
 * gantry/lock             held by the process that has the store open; the operating system releases it when the
 * process ends gantry/open.json        the address of that process (announcement.ts); readable only by its user
 * gantry/uploads/         records of unfinished uploads (upload-notes.ts) gantry/seeded           exists once the demo
 * image was published
 * ```
 */
import { mkdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { CommandError } from '../cli/errors.ts';

/** The paths of a state folder, all absolute. */
export interface StateFolder {
  readonly root: string;
  /** The path for messages. */
  readonly title: string;
  readonly persist: string;
  readonly lock: string;
  readonly announcement: string;
  readonly uploads: string;
  readonly seeded: string;
}

/** Creates the folder if it does not exist. Throws {@link CommandError} if it cannot be written. */
export async function makeStateFolder(path: string): Promise<StateFolder> {
  const root = resolve(path);
  const own = join(root, 'gantry');
  const near = relative(process.cwd(), root);
  const title = near === '' ? '.' : near.startsWith('..') ? root : near;
  const folder = {
    root,
    title,
    persist: join(root, 'v3'),
    lock: join(own, 'lock'),
    announcement: join(own, 'open.json'),
    uploads: join(own, 'uploads'),
    seeded: join(own, 'seeded'),
  };
  try {
    await mkdir(folder.uploads, { recursive: true, mode: 0o700 });
    await mkdir(folder.persist, { recursive: true });
  } catch (cause) {
    throw new CommandError(
      `the state folder ${title} cannot be written (${cause instanceof Error ? cause.message : String(cause)})`,
      {
        hint: 'Name another folder with --state, or fix its permissions.',
        cause,
      },
    );
  }
  return folder;
}
