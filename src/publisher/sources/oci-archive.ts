/** `oci-archive:FILE[:REF]`: an OCI image layout in a tar file, as `skopeo copy … oci-archive:FILE`, `podman save --format oci-archive` and BuildKit write it. */
import { CommandError } from '../cli/errors.ts';
import { type Archive, openArchive, splitArchiveRef } from './archive.ts';
import { type LayoutFiles, openLayout } from './oci-layout.ts';
import type { SourceOptions } from './open.ts';
import type { SourceImage } from './source.ts';

/** Opens an archive; REF as in `oci:`. Throws {@link CommandError}. */
export async function openOciArchive(
  where: string,
  options: Pick<SourceOptions, 'signal' | 'tell'>,
): Promise<SourceImage> {
  const [path, ref] = await splitArchiveRef(where);
  const archive = await openArchive(path, options);
  try {
    if (!archive.has('index.json') && archive.has('manifest.json')) {
      throw new CommandError(`${archive.title} has no index.json, so it is no OCI layout`, {
        hint: `Write docker-archive:${where}.`,
      });
    }
    return await openLayout(layoutIn(archive), ref);
  } catch (error) {
    await archive.close();
    throw error;
  }
}

/** The layout that lies in an archive. */
export function layoutIn(archive: Archive): LayoutFiles {
  return {
    title: archive.title,
    read: (path) => archive.read(path),
    open: (path, signal) => Promise.resolve(archive.open(path, signal)),
    close: () => archive.close(),
  };
}
