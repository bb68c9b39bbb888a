/**
 * The layout of a state folder. `v3` belongs to Miniflare, as in `wrangler dev`; `gantry` belongs to gantry.
 *
 * ```
 * v3/                     objects (Miniflare)
 * gantry/lock             held by the process that has the store open; the operating system releases it when the
 * process ends gantry/open.json        the address of that process (announcement.ts); readable only by its user
 * gantry/uploads/         records of unfinished uploads (upload-notes.ts) gantry/seeded           exists once the demo
 * image was published
 * gantry/pulls.sqlite     the data points of pulls (statistics/local-events.ts)
 * ```
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { CommandError } from '../cli/errors.ts';
import { messageOf } from '../../registry/values/error-message.ts';

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
  readonly pulls: string;
}

/** The paths of the state folder at `path`, which need not exist. */
export function stateFolderAt(path: string): StateFolder {
  const root = resolve(path);
  const own = join(root, 'gantry');
  const near = relative(process.cwd(), root);
  return {
    root,
    title: near === '' ? '.' : near.startsWith('..') ? root : near,
    persist: join(root, 'v3'),
    lock: join(own, 'lock'),
    announcement: join(own, 'open.json'),
    uploads: join(own, 'uploads'),
    seeded: join(own, 'seeded'),
    pulls: join(own, 'pulls.sqlite'),
  };
}

/**
 * The state folder at a path. It is created if it does not exist, or with `mustExist` missed. Throws {@link
 * CommandError} if it is missed or cannot be written.
 */
export async function makeStateFolder(
  path: string,
  { mustExist = false }: { readonly mustExist?: boolean } = {},
): Promise<StateFolder> {
  const folder = stateFolderAt(path);
  const { root, title } = folder;
  if (mustExist && !(await isFolder(root)))
    throw new CommandError(`there is no local store at ${title}`, {
      hint: 'Name its folder with --state, or publish an image to create it: gantry publish --help',
    });
  try {
    await makeFolder(folder.uploads, 0o700);
    await makeFolder(folder.persist);
  } catch (cause) {
    throw new CommandError(`the state folder ${title} cannot be written (${messageOf(cause)})`, {
      hint: 'Name another folder with --state, or fix its permissions.',
      cause,
    });
  }
  return folder;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}

/**
 * Creates a folder and the missing ones above it. Node's `recursive` never ends below /proc, where the system answers
 * ENOENT although the parent exists.
 */
async function makeFolder(path: string, mode?: number): Promise<void> {
  if (await isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) await makeFolder(parent, mode);
  try {
    await mkdir(path, { mode });
  } catch (error) {
    // Another process may have created it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
