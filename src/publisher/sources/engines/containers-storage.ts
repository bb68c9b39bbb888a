/**
 * `containers-storage:NAME[:TAG]`: an image of Podman, Buildah or CRI-O. Only their own library reads the storage, so
 * `podman save` (or skopeo, where there is no Podman) copies the image into a temporary folder first.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageSource } from '../../../bucket/image-source.ts';
import { CommandError } from '../../cli/errors.ts';
import { openDir } from '../dir.ts';
import type { SourceOptions } from '../source.ts';

/** The most characters of a program's errors that are shown. */
const MESSAGE_MAX = 2_000;

/** Opens an image of the storage. Throws {@link CommandError}. */
export async function openStorageImage(image: string, options: SourceOptions): Promise<ImageSource> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-storage-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    options.onMessage?.(`${image} is copied from the containers storage to a temporary folder in ${tmpdir()} first`);
    await copy(image, join(folder, 'image'), options);
    const source = await openDir(join(folder, 'image'), options);
    const close = async (): Promise<void> => {
      await source.close();
      await remove();
    };
    return { ...source, close };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function copy(image: string, to: string, { env, signal }: SourceOptions): Promise<void> {
  // Storage is unpacked; a registry's layers are compressed. `[driver@root]NAME` is only skopeo's.
  const podman = ['podman', 'save', '--quiet', '--format', 'docker-dir', '--compress', '--output', to, image];
  const skopeo = ['skopeo', 'copy', '--quiet', '--dest-compress', `containers-storage:${image}`, `dir:${to}`];
  const commands = image.startsWith('[') ? [skopeo] : [podman, skopeo];
  for (const [program = '', ...args] of commands) {
    const result = await run(program, args, env, signal);
    if (result === null) continue;
    if (result.code === 0) return;
    throw new CommandError(`${program} cannot export ${image}: ${lastLine(result.errors)}`, {
      hint: 'List the images with: podman images',
    });
  }
  throw new CommandError('neither podman nor skopeo is installed, and only they read the containers storage', {
    hint: 'Install one of them, or write the image to a folder or an archive.',
  });
}

/** Runs a program; null if it is not installed. Throws the signal's reason. */
async function run(
  program: string,
  args: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
  signal: AbortSignal | undefined,
): Promise<{ readonly code: number | null; readonly errors: string } | null> {
  const child = spawn(program, args, {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal !== undefined && { signal }),
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-MESSAGE_MAX);
  });
  return new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(null);
      else reject(signal?.aborted === true ? (signal.reason as Error) : error);
    });
    child.on('close', (code) => {
      resolve({ code, errors });
    });
  });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
