/**
 * `dir:FOLDER`, as `skopeo copy … dir:FOLDER` writes it (containers-transports(5)): `manifest.json`, blobs named by
 * their hex digest, and for a list the manifests of its children as `<hex>.manifest.json`. Media types are not stored,
 * so they are detected from the manifests.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, type Digest, hexOf } from '../../registry/digest.ts';
import { CommandError } from '../cli/errors.ts';
import { openFileBlob, readSmallFile } from './files.ts';
import type { ImageSource } from '../../bucket/image-source.ts';
import type { SourceOptions } from './source.ts';

/** Opens a folder. Throws {@link CommandError}. */
export async function openDir(folder: string, options: Pick<SourceOptions, 'signal'> = {}): Promise<ImageSource> {
  const bytes = await readSmallFile(join(folder, 'manifest.json'), options.signal);
  if (bytes === null) throw await whyNot(folder);
  const manifest = async (digest: Digest): Promise<{ bytes: Uint8Array } | null> => {
    const child = await readSmallFile(join(folder, `${fileOf(digest)}.manifest.json`), options.signal);
    return child === null ? null : { bytes: child };
  };
  return {
    roots: [{ bytes }],
    manifest,
    blob: (digest, { signal = options.signal } = {}) => openFileBlob(join(folder, fileOf(digest)), signal),
    referrers: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

/** sha256 is written without its name; newer skopeo names other algorithms. */
function fileOf(digest: Digest): string {
  return algorithmOf(digest) === 'sha256' ? hexOf(digest) : digest.replace(':', '-');
}

async function whyNot(folder: string): Promise<CommandError> {
  const is = async (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  if (!(await is(folder)))
    return new CommandError(`there is no folder ${folder}`, { hint: 'Check the path after dir:.' });
  if (await is(join(folder, 'index.json'))) {
    return new CommandError(`${folder} has no manifest.json; it is an OCI layout`, { hint: `Write oci:${folder}.` });
  }
  return new CommandError(`${folder} has no manifest.json`, {
    hint: 'Create it with: skopeo copy --format v2s2 docker://IMAGE dir:FOLDER',
  });
}
