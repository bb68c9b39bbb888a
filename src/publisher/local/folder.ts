/**
 * What is where in a state folder. `v3` is Miniflare's, laid out as `wrangler dev` does; `gantry` is ours.
 *
 * ```
 * v3/                     objects (Miniflare)
 * gantry/lock             held by whoever has the store open; the operating system lets go of it whatever way the holder ends
 * gantry/open.json        how to reach the holder (announcement.ts); only its owner may read it
 * gantry/uploads/         what is known of unfinished uploads (upload-notes.ts)
 * gantry/seeded           the demo image was put there once
 * ```
 */
import { mkdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { CommandError } from '../cli/errors.ts';

/** The paths of a state folder, all absolute. */
export interface StateFolder {
  readonly root: string;
  /** As people would write it. */
  readonly title: string;
  readonly persist: string;
  readonly lock: string;
  readonly announcement: string;
  readonly uploads: string;
  readonly seeded: string;
}

/** Makes the folder where it is not there. Throws {@link CommandError} where it cannot be written. */
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
        hint: 'Name another folder with --state, or mend its rights.',
        cause,
      },
    );
  }
  return folder;
}
